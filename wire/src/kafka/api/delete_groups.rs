//! DeleteGroups (42): forgets groups that have no members.

use crate::kafka::{ApiRequest, Array, DecodeError, ErrorCode, Line, Reader, VersionRange, Writer};

/// Which groups are to be forgotten.
#[derive(Clone, Copy, Debug)]
pub struct DeleteGroupsRequest<'a> {
    /// Their names.
    pub groups: Array<'a, &'a str>,
}

impl<'a> ApiRequest<'a> for DeleteGroupsRequest<'a> {
    const KEY: i16 = 42;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };
    const FIRST_FLEXIBLE: i16 = 2;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let groups = reader.array()?;
        reader.skip_tags()?;
        Ok(Self { groups })
    }
}

/// What became of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedGroup<'a> {
    /// Its name.
    pub group: &'a str,
    /// Whether it is forgotten.
    pub error: ErrorCode,
}

impl Line for DeletedGroup<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.string(self.group);
        w.error(self.error);
        w.no_tags();
    }
}
