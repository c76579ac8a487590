//! Any bytes as a file of manifests, and as an object of each kind that an API server sends. Reading must not panic,
//! whoever gets an error must be told something, and what is read must be the same the next time and fit into the model.

#![no_main]

use caracal_agent::{
    model::{Change, Kind, Model, Names, Object},
    source::{read_json, read_manifest},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut names = Names::default();
    match read_manifest(text, &mut names) {
        Ok(objects) => {
            assert_eq!(read_manifest(text, &mut names).as_ref(), Ok(&objects));
            fits(objects);
        }
        Err(error) => assert!(!error.trim().is_empty()),
    }
    for kind in Kind::ALL {
        match read_json(kind, text, &mut names) {
            Ok(object) => {
                assert_eq!(object.kind(), kind);
                assert_eq!(object.name.namespace.is_empty(), !kind.is_namespaced());
                assert_eq!(read_json(kind, text, &mut Names::default()).as_ref(), Ok(&object));
                fits(vec![object]);
            }
            Err(error) => assert!(!error.trim().is_empty()),
        }
    }
});

/// The model takes it, shows it, and forgets it.
fn fits(objects: Vec<Object>) {
    let mut model = Model::default();
    for object in objects {
        model.apply(Change::Put(object.clone()));
        assert!(model.apply(Change::Put(object)).is_empty(), "told twice");
    }
    serde_json::to_string(&model).expect("it can be shown");
    for kind in Kind::ALL {
        model.apply(Change::Begin(kind));
        model.apply(Change::Whole(kind));
    }
    assert_eq!(model.standing.missing().count(), 0);
    assert!(model.pods.by_name().is_empty() && model.slices.by_name().is_empty() && model.services.is_empty());
}
