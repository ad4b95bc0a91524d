//! What all brokers over one data directory call themselves together: a random number that it
//! gets at its first start and keeps. Topic ids are made of it too, so that what a client has
//! kept of one directory means nothing in another.
//!
//! ```text
//! kind 40  cluster named, version 1
//!   its id: upper half u64, lower half u64
//! kind 7   the part of a snapshot, version 1
//!   no objects; beside them: the id as in kind 40
//! ```

use bytes::Bytes;
use leveret_storage::types::WallMs;
use thiserror::Error;

use super::Topology;
use super::kinds::{Kind, Part};
use crate::codec::{DecodeError, Reader, Writer, check_version};

const NAMED: u16 = 40;
const VERSION: u16 = 1;

/// Names a data directory among all that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u128);

/// How far the directory's name has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Cluster {
    /// It has none.
    #[default]
    Unnamed,
    /// All cores of this run call it so, and an entry of log 0 is to make that last.
    Proposed(ClusterId),
    /// An entry of log 0 says so, for ever.
    Named(ClusterId),
}

impl Cluster {
    pub(super) fn id(self) -> Option<ClusterId> {
        match self {
            Self::Unnamed => None,
            Self::Proposed(id) | Self::Named(id) => Some(id),
        }
    }
}

/// Make the name that this run proposed for its data directory last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameCluster;

/// The data directory has this name from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterNamed(pub ClusterId);

/// The data directory has a name already, or none was proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("there is no proposed name to give the data directory")]
pub struct NoProposedName;

impl Kind for Cluster {
    type Command = NameCluster;
    type Entry = ClusterNamed;
    type Refusal = NoProposedName;
    type Object = ();
    const ENTRIES: &'static [u16] = &[NAMED];
    const PART: Part = Part {
        kind: 7,
        version: 1,
        least: 1,
    };

    fn decide(
        topology: &Topology,
        NameCluster: &NameCluster,
        _now: WallMs,
    ) -> Result<ClusterNamed, NoProposedName> {
        match topology.objects.cluster {
            Self::Proposed(id) => Ok(ClusterNamed(id)),
            Self::Unnamed | Self::Named(_) => Err(NoProposedName),
        }
    }

    fn fits(topology: &Topology, _entry: &ClusterNamed) -> bool {
        topology.objects.cluster.is_blank()
    }

    fn apply(topology: &mut Topology, ClusterNamed(id): &ClusterNamed) {
        topology.objects.cluster = Self::Named(*id);
    }

    fn encode(ClusterNamed(id): &ClusterNamed) -> Bytes {
        let mut writer = Writer::new(NAMED, VERSION, 16);
        put(&mut writer, *id);
        writer.seal()
    }

    fn decode(
        _kind: u16,
        version: u16,
        reader: &mut Reader<'_>,
    ) -> Result<ClusterNamed, DecodeError> {
        check_version(version, VERSION..=VERSION)?;
        get(reader).map(ClusterNamed)
    }

    fn is_blank(&self) -> bool {
        !matches!(self, Self::Named(_))
    }

    fn put_rest(&self, writer: &mut Writer) {
        if let Self::Named(id) = self {
            put(writer, *id);
        }
    }

    fn get_rest(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        *self = Self::Named(get(reader)?);
        Ok(())
    }
}

fn put(writer: &mut Writer, id: ClusterId) {
    writer.u64((id.0 >> 64) as u64);
    writer.u64(id.0 as u64);
}

fn get(reader: &mut Reader<'_>) -> Result<ClusterId, DecodeError> {
    let upper = reader.u64("cluster id")?;
    let lower = reader.u64("cluster id")?;
    Ok(ClusterId(u128::from(upper) << 64 | u128::from(lower)))
}

impl Topology {
    /// What the data directory is called; `None` if nobody proposed a name yet.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.objects.cluster.id()
    }

    /// Calls the data directory so, if it has no name yet: on every core alike before any
    /// serves, and [`NameCluster`] makes it last.
    pub fn propose_cluster(&mut self, id: ClusterId) {
        if self.objects.cluster == Cluster::Unnamed {
            self.objects.cluster = Cluster::Proposed(id);
        }
    }

    /// Whether [`NameCluster`] is still to be carried out.
    #[must_use]
    pub fn has_proposed_cluster(&self) -> bool {
        matches!(self.objects.cluster, Cluster::Proposed(_))
    }
}
