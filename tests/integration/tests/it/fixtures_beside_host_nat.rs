//! Pod → pod on a node whose netfilter may be translating: a flow begins by the host, and is direct once it was answered
//! with the addresses it was asked with.

use caracal_abi::Reason;
use caracal_datapath::{Features, Loader};
use caracal_harness::{Action, Frame, Plane, Pod, isolated};
use caracal_integration::pairs;

/// Runs a body once for each family, as if packets of both pods came in by the one interface of `TEST_RUN`.
fn for_each_family(body: impl Fn(&Plane, &Pod, &Pod) + Sync) {
    for (client, server) in pairs(Plane::IFINDEX) {
        let server = Pod { ifindex: Plane::IFINDEX, ..server };
        isolated(|root| {
            let plane = Plane::with(root, &Loader::new(Features::probe()));
            plane.add(&client);
            plane.add(&server);
            body(&plane, &client, &server);
        });
    }
}

#[test]
fn udp_is_direct_from_the_reply_on() {
    for_each_family(|plane, client, server| {
        let question = Frame::new(client, server.ip).udp(4000, 53, b"question");
        let answer = Frame::new(server, client.ip).udp(53, 4000, b"answer");
        // However often it is asked: nobody has answered yet.
        for _ in 0..2 {
            let outcome = plane.from_pod(&question);
            assert_eq!((outcome.action, outcome.packet == question), (Action::Host, true));
        }
        assert_eq!(plane.from_pod(&answer).action, Action::Redirect);
        assert_eq!(plane.from_pod(&question).action, Action::Redirect);
        assert_eq!(plane.from_pod(&answer).action, Action::Redirect);
        assert_eq!(plane.counted(), [(Reason::NewFlow, 1), (Reason::ViaHost, 1)]);
    });
}

#[test]
fn an_answer_to_a_question_that_was_never_seen_goes_by_the_host_for_ever() {
    for_each_family(|plane, client, server| {
        // The question went to a service's address, which is no pod.
        let answer = Frame::new(server, client.ip).udp(5353, 4000, b"answer");
        for _ in 0..5 {
            assert_eq!(plane.from_pod(&answer).action, Action::Host);
        }
        assert_eq!(plane.counted(), [(Reason::ViaHost, 1)]);
    });
}

#[test]
fn tcp_is_direct_from_the_accepting_segment_on() {
    for_each_family(|plane, client, server| {
        assert_eq!(plane.from_pod(&Frame::new(client, server.ip).syn(4000, 80)).action, Action::Host);
        assert_eq!(plane.from_pod(&Frame::new(server, client.ip).syn_ack(80, 4000)).action, Action::Redirect);
        assert_eq!(plane.from_pod(&Frame::new(client, server.ip).ack(4000, 80)).action, Action::Redirect);
        assert_eq!(plane.from_pod(&Frame::new(server, client.ip).ack(80, 4000)).action, Action::Redirect);
    });
}

#[test]
fn a_connection_to_a_service_goes_by_the_host_and_a_direct_one_with_its_ports_does_not() {
    for_each_family(|plane, client, server| {
        let [accept, data] =
            [Frame::new(server, client.ip).syn_ack(80, 4000), Frame::new(server, client.ip).ack(80, 4000)];
        for reply in [&accept, &data, &data] {
            assert_eq!(plane.from_pod(reply).action, Action::Host, "the server's side of a service");
        }
        // The same ports again, this time without a service.
        assert_eq!(plane.from_pod(&Frame::new(client, server.ip).syn(4000, 80)).action, Action::Host);
        assert_eq!(plane.from_pod(&accept).action, Action::Redirect);
        assert_eq!(plane.from_pod(&data).action, Action::Redirect);
    });
}

#[test]
fn a_connection_to_a_service_with_the_ports_of_an_earlier_direct_one_goes_by_the_host() {
    for_each_family(|plane, client, server| {
        let [ask, data] = [Frame::new(client, server.ip).syn(4000, 80), Frame::new(client, server.ip).ack(4000, 80)];
        let accept = Frame::new(server, client.ip).syn_ack(80, 4000);
        let reply = Frame::new(server, client.ip).ack(80, 4000);
        for _ in 0..2 {
            assert_eq!(plane.from_pod(&ask).action, Action::Host);
            for direct in [&accept, &data, &reply] {
                assert_eq!(plane.from_pod(direct).action, Action::Redirect, "{:?}", plane.flows());
            }
            // The client asks a service now, of which only the answers can be seen here.
            for translated in [&accept, &reply, &reply] {
                assert_eq!(plane.from_pod(translated).action, Action::Host, "{:?}", plane.flows());
            }
        }
    });
}

#[test]
fn what_the_server_repeats_before_the_client_goes_on_is_direct_as_well() {
    for_each_family(|plane, client, server| {
        assert_eq!(plane.from_pod(&Frame::new(client, server.ip).syn(4000, 80)).action, Action::Host);
        for _ in 0..3 {
            assert_eq!(plane.from_pod(&Frame::new(server, client.ip).syn_ack(80, 4000)).action, Action::Redirect);
        }
        assert_eq!(plane.from_pod(&Frame::new(client, server.ip).ack(4000, 80)).action, Action::Redirect);
        assert_eq!(plane.from_pod(&Frame::new(server, client.ip).ack(80, 4000)).action, Action::Redirect);
    });
}

#[test]
fn a_connection_found_in_the_middle_stays_with_the_host() {
    for_each_family(|plane, client, server| {
        for _ in 0..2 {
            assert_eq!(plane.from_pod(&Frame::new(client, server.ip).ack(4000, 80)).action, Action::Host);
            assert_eq!(plane.from_pod(&Frame::new(server, client.ip).ack(80, 4000)).action, Action::Host);
        }
    });
}
