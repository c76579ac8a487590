//! Records for an onlooker: what is known of every attachment, without keeping anybody from working on one.

use std::{fs, io::ErrorKind, path::Path};

use caracal_ipam::Attachment;

use super::{Error, Record, RecordFile};

/// Where networks have their records, below the directory that state is kept in.
const ENDPOINTS: &str = "endpoints";

/// An attachment and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The network's name.
    pub network: String,
    /// What is attached.
    pub attachment: Attachment,
    /// What was written down last.
    pub record: Record,
}

/// Every attachment to every network that has a record below `run_dir`. No lock is taken: a call that runs may be about
/// to change what is told here.
pub fn survey(run_dir: &Path) -> Result<Vec<Known>, Error> {
    let mut found = Vec::new();
    let endpoints = run_dir.join(ENDPOINTS);
    let networks = match fs::read_dir(&endpoints) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(found),
        networks => networks.map_err(Error::new("listing", &endpoints))?,
    };
    for network in networks {
        let network = network.map_err(Error::new("listing", &endpoints))?;
        let (dir, network) = (network.path(), network.file_name().to_string_lossy().into_owned());
        if !dir.is_dir() {
            continue;
        }
        for attachment in RecordFile::list(&dir)? {
            // Removed meanwhile, if it is not there.
            let Some(mut file) = RecordFile::open_unlocked(&dir.join(attachment.to_string()))? else { continue };
            // One that cannot be read tells nothing to an onlooker either.
            let Some(record) = file.last()? else { continue };
            found.push(Known { network: network.clone(), attachment, record });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Begun;

    #[test]
    fn records_of_all_networks_are_told_also_while_somebody_works_on_them() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(survey(dir.path()).unwrap(), []);
        let attachment = Attachment::new("c1", "eth0").unwrap();
        let record = |pod: &str| Record { pod: pod.to_owned(), ..Record::default() };
        let begin = |network: &str| {
            let dir = dir.path().join(ENDPOINTS).join(network);
            match RecordFile::begin(&dir, &attachment, record(network)).unwrap() {
                Begun::New(file) => file,
                other => panic!("{other:?}"),
            }
        };
        let mut files = ["a", "b"].map(begin);
        files[1].update(|record| record.complete = true).unwrap();
        fs::write(dir.path().join(ENDPOINTS).join("stray"), "").unwrap();
        fs::write(dir.path().join(ENDPOINTS).join("a/c2:eth0"), "{").unwrap();
        let mut found = survey(dir.path()).unwrap();
        found.sort_by(|one, other| one.network.cmp(&other.network));
        let known =
            |network: &str, record| Known { network: network.to_owned(), attachment: attachment.clone(), record };
        assert_eq!(found, [known("a", record("a")), known("b", Record { complete: true, ..record("b") })]);
    }
}
