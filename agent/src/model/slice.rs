//! Endpoints of services, in slices.

use std::{collections::BTreeSet, net::IpAddr, ops::Bound, sync::Arc};

use serde::Serialize;

use super::{Name, Protocol, Stock, Text, stock::Put};

/// A part of a service's endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EndpointSlice {
    /// The service in the same namespace whose endpoints these are.
    pub service: Option<Text>,
    /// Their ports.
    pub ports: Box<[SlicePort]>,
    /// The endpoints; none if they have no addresses but names.
    pub endpoints: Box<[Endpoint]>,
    /// When what led to this slice happened, as its annotation has it.
    pub trigger_time: Option<Text>,
}

/// A port of all endpoints of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlicePort {
    /// The service port that leads here.
    pub name: Text,
    /// With which protocol.
    pub protocol: Protocol,
    /// The endpoints' number for it.
    pub port: u16,
}

/// Somebody who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Where.
    pub address: IpAddr,
    /// It may be sent something new.
    pub ready: bool,
    /// It answers, even if it is about to go.
    pub serving: bool,
    /// It is about to go.
    pub terminating: bool,
    /// The node it is on.
    pub node: Option<Text>,
    /// The zone that is in.
    pub zone: Option<Text>,
    /// For whom it is near.
    pub hints: Option<Box<Hints>>,
}

/// For whom an endpoint is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hints {
    /// Nodes.
    pub nodes: Box<[Text]>,
    /// Zones.
    pub zones: Box<[Text]>,
}

/// All slices.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Slices {
    by_name: Stock<EndpointSlice>,
    /// Each service with the names of its slices.
    #[serde(skip)]
    by_service: BTreeSet<(Name, Text)>,
}

impl Slices {
    /// By name.
    #[must_use]
    pub fn by_name(&self) -> &Stock<EndpointSlice> {
        &self.by_name
    }

    /// Those of a service.
    pub fn of_service(&self, service: &Name) -> impl Iterator<Item = &Arc<EndpointSlice>> {
        let first = (service.clone(), Text::default());
        let pairs = self.by_service.range((Bound::Included(first), Bound::Unbounded));
        let pairs = pairs.take_while(move |(other, _)| other == service);
        pairs.filter_map(|(service, slice)| self.by_name.get(&Name::new(service.namespace.clone(), slice.clone())))
    }

    /// The services that have other endpoints now.
    pub(super) fn put(&mut self, name: &Name, slice: &Arc<EndpointSlice>) -> BTreeSet<Name> {
        let Put::Changed(before) = self.by_name.put(name, slice) else { return BTreeSet::new() };
        let before = before.and_then(|before| self.forget(name, &before));
        let service = service_of(name, slice);
        if let Some(service) = &service {
            self.by_service.insert((service.clone(), name.name.clone()));
        }
        before.into_iter().chain(service).collect()
    }

    /// The service that has other endpoints now.
    pub(super) fn remove(&mut self, name: &Name) -> Option<Name> {
        let before = self.by_name.remove(name)?;
        self.forget(name, &before)
    }

    fn forget(&mut self, name: &Name, before: &EndpointSlice) -> Option<Name> {
        let service = service_of(name, before)?;
        self.by_service.remove(&(service.clone(), name.name.clone()));
        Some(service)
    }
}

fn service_of(name: &Name, slice: &EndpointSlice) -> Option<Name> {
    slice.service.as_ref().map(|service| Name::new(name.namespace.clone(), service.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(service: &str) -> Arc<EndpointSlice> {
        EndpointSlice { service: Some(service.into()), ..EndpointSlice::default() }.into()
    }

    #[test]
    fn a_service_has_its_slices_also_when_they_change_hands() {
        let mut slices = Slices::default();
        let (first, second) = (Name::new("shop", "web-1"), Name::new("shop", "web-2"));
        let (web, api) = (Name::new("shop", "web"), Name::new("shop", "api"));
        assert_eq!(slices.put(&first, &slice("web")), [web.clone()].into());
        assert_eq!(slices.put(&first, &slice("web")), [].into(), "it says the same");
        slices.put(&second, &slice("web"));
        slices.put(&Name::new("other", "web-1"), &slice("web"));
        assert_eq!(slices.of_service(&web).count(), 2);
        assert_eq!(slices.put(&second, &slice("api")), [api.clone(), web.clone()].into());
        assert_eq!((slices.of_service(&web).count(), slices.of_service(&api).count()), (1, 1));
        assert_eq!(slices.remove(&first), Some(web.clone()));
        assert_eq!(slices.remove(&first), None);
        assert_eq!(slices.of_service(&web).count(), 0);
    }

    #[test]
    fn a_slice_of_no_service_touches_none() {
        let mut slices = Slices::default();
        let name = Name::new("shop", "lone");
        assert_eq!(slices.put(&name, &EndpointSlice::default().into()), [].into());
        assert_eq!(slices.remove(&name), None);
    }
}
