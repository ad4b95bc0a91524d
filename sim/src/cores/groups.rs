//! Requests about groups of consumers as bytes, like those of `kafka`.

use super::kafka::Request;

/// A partition: its topic and its number.
pub type Place<'a> = (&'a str, i32);

/// FindCoordinator of one group.
#[must_use]
pub fn find_coordinator(group: &str) -> Vec<u8> {
    Request::new(10, 1).string(group).i8(0).frame()
}

/// JoinGroup by somebody with that member id.
#[must_use]
pub fn join(group: &str, member: &str) -> Vec<u8> {
    let request = Request::new(11, 1).string(group).i32(10_000).i32(20_000);
    let request = request.string(member).string("consumer");
    request.i32(1).string("range").i32(0).frame()
}

/// SyncGroup of generation 1, without assignments.
#[must_use]
pub fn sync(group: &str, member: &str) -> Vec<u8> {
    let request = Request::new(14, 0).string(group).i32(1).string(member);
    request.i32(0).frame()
}

/// Heartbeat of generation 1.
#[must_use]
pub fn heartbeat(group: &str, member: &str) -> Vec<u8> {
    let request = Request::new(12, 0).string(group).i32(1);
    request.string(member).frame()
}

/// LeaveGroup of one member.
#[must_use]
pub fn leave(group: &str, member: &str) -> Vec<u8> {
    Request::new(13, 0).string(group).string(member).frame()
}

/// DescribeGroups.
#[must_use]
pub fn describe(groups: &[&str]) -> Vec<u8> {
    let request = Request::new(15, 0);
    let request = request.array(groups, |request, group| request.string(group));
    request.frame()
}

/// ListGroups.
#[must_use]
pub fn list() -> Vec<u8> {
    Request::new(16, 0).frame()
}

/// DeleteGroups.
#[must_use]
pub fn delete(groups: &[&str]) -> Vec<u8> {
    let request = Request::new(42, 0);
    let request = request.array(groups, |request, group| request.string(group));
    request.frame()
}

/// OffsetDelete of one partition.
#[must_use]
pub fn delete_offset(group: &str, (topic, partition): Place<'_>) -> Vec<u8> {
    let request = Request::new(47, 0).string(group).i32(1).string(topic);
    request.i32(1).i32(partition).frame()
}

/// OffsetCommit of one partition, by somebody who is in no generation.
#[must_use]
pub fn commit(group: &str, (topic, partition): Place<'_>, offset: i64) -> Vec<u8> {
    let request = Request::new(8, 2).string(group).i32(-1).string("").i64(-1);
    let request = request.i32(1).string(topic).i32(1).i32(partition);
    request.i64(offset).string("sim").frame()
}

/// OffsetFetch of one partition, or of all that have an offset.
#[must_use]
pub fn offsets(group: &str, place: Option<Place<'_>>) -> Vec<u8> {
    let request = Request::new(9, 2).string(group);
    match place {
        Some((topic, partition)) => {
            let request = request.i32(1).string(topic).i32(1);
            request.i32(partition).frame()
        }
        None => request.i32(-1).frame(),
    }
}
