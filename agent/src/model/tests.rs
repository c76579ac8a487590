use super::*;

fn node(name: &str, cidr: &str) -> Change {
    let node = Node { pod_cidrs: vec![cidr.parse().unwrap()], ..Node::default() };
    Change::Put(Object { name: Name::global(name), body: Body::Node(node.into()) })
}

fn names(touched: &[Touched]) -> Vec<&str> {
    touched.iter().map(|(_, name)| &*name.name).collect()
}

#[test]
fn a_change_touches_what_it_changes_and_told_twice_nothing() {
    let mut model = Model::default();
    assert_eq!(names(&model.apply(node("a", "10.1.0.0/24"))), ["a"]);
    assert!(model.apply(node("a", "10.1.0.0/24")).is_empty());
    assert_eq!(names(&model.apply(node("a", "10.2.0.0/24"))), ["a"]);
    assert_eq!(names(&model.apply(Change::Gone(Kind::Node, Name::global("a")))), ["a"]);
    assert!(model.apply(Change::Gone(Kind::Node, Name::global("a"))).is_empty());
}

#[test]
fn what_is_not_told_until_the_kind_is_whole_is_gone() {
    let mut model = Model::default();
    for name in ["a", "b"] {
        model.apply(node(name, "10.1.0.0/24"));
    }
    assert!(!model.standing.has_synced(Kind::Node));
    model.apply(Change::Begin(Kind::Node));
    assert!(model.apply(node("b", "10.1.0.0/24")).is_empty());
    assert_eq!(names(&model.apply(Change::Whole(Kind::Node))), ["a"]);
    assert!(model.standing.is_whole(Kind::Node) && !model.standing.has_synced(Kind::Pod));
}

#[test]
fn a_round_that_begins_anew_forgets_what_the_first_one_saw() {
    let mut model = Model::default();
    for change in [Change::Begin(Kind::Node), node("a", "10.1.0.0/24"), Change::Begin(Kind::Node)] {
        model.apply(change);
    }
    assert_eq!(names(&model.apply(Change::Whole(Kind::Node))), ["a"]);
}

#[test]
fn what_cannot_be_read_stays_as_it_was() {
    let mut model = Model::default();
    model.apply(node("a", "10.1.0.0/24"));
    let origin = Origin::Object(Kind::Node, Name::global("a"));
    for change in [Change::Begin(Kind::Node), Change::Unread(origin.clone(), "no".to_owned())] {
        assert!(model.apply(change).is_empty());
    }
    assert!(model.apply(Change::Whole(Kind::Node)).is_empty());
    assert_eq!(model.nodes.len(), 1);
    assert!(model.standing.has_synced(Kind::Node) && !model.standing.is_whole(Kind::Node));
    assert_eq!(model.standing.unread().keys().collect::<Vec<_>>(), [&origin]);
    model.apply(node("a", "10.1.0.0/24"));
    assert!(model.standing.is_whole(Kind::Node) && model.standing.unread().is_empty());
}

#[test]
fn while_something_without_a_name_is_unread_nothing_counts_as_gone() {
    let mut model = Model::default();
    model.apply(node("a", "10.1.0.0/24"));
    model.apply(Change::Begin(Kind::Node));
    model.apply(Change::Unread(Origin::Kind(Kind::Node), "metadata is missing".to_owned()));
    assert!(model.apply(Change::Whole(Kind::Node)).is_empty());
    assert_eq!(model.nodes.len(), 1);
    assert!(!model.standing.is_whole(Kind::Node));
    for change in [Change::Begin(Kind::Node), Change::Whole(Kind::Node)] {
        model.apply(change);
    }
    assert!(model.nodes.is_empty() && model.standing.is_whole(Kind::Node));
}

#[test]
fn an_unread_object_that_is_gone_is_no_complaint_any_more() {
    let mut model = Model::default();
    for name in ["a", "b"] {
        model.apply(Change::Unread(Origin::Object(Kind::Node, Name::global(name)), "no".to_owned()));
    }
    model.apply(Change::Gone(Kind::Node, Name::global("a")));
    assert_eq!(model.standing.unread().len(), 1);
    model.apply(Change::Begin(Kind::Node));
    model.apply(Change::Whole(Kind::Node));
    assert!(model.standing.unread().is_empty());
}
