use kafka_protocol::messages::{
    alter_configs_request as replace, alter_configs_response as replaced,
    incremental_alter_configs_request as change, incremental_alter_configs_response as changed,
};
use leveret_wire::kafka::{self, ApiKey, ConfigOperation, Request, ResourceType};

use super::{maybe_text, of_lines, str_bytes, text};
use crate::harness::Api;
use crate::source::{Source, error_code};

pub(crate) struct AlterConfigs;

impl Api for AlterConfigs {
    const KEY: ApiKey = ApiKey::AlterConfigs;
    type Request = replace::AlterConfigsRequest;
    type Response = replaced::AlterConfigsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> Self::Request {
        let flexible = version >= 2;
        let config = |s: &mut Source<'_>| {
            replace::AlterableConfig::default()
                .with_name(s.text())
                .with_value(s.maybe(Source::text))
                .with_unknown_tagged_fields(s.tags(flexible))
        };
        let resources = s.list(|s| {
            replace::AlterConfigsResource::default()
                .with_resource_type(s.within(0, 8))
                .with_resource_name(s.text())
                .with_configs(s.list(config))
                .with_unknown_tagged_fields(s.tags(flexible))
        });
        replace::AlterConfigsRequest::default()
            .with_resources(resources)
            .with_validate_only(s.bool())
            .with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> Self::Request {
        let Request::AlterConfigs(ours) = ours else {
            panic!("{ours:?}")
        };
        let config = |config: kafka::ConfigValue<'_>| {
            replace::AlterableConfig::default()
                .with_name(str_bytes(config.name))
                .with_value(config.value.map(str_bytes))
        };
        let resource = |resource: kafka::AlterConfigsResource<'_>| {
            replace::AlterConfigsResource::default()
                .with_resource_type(resource.resource_type.0)
                .with_resource_name(str_bytes(resource.name))
                .with_configs(resource.configs.iter().map(config).collect())
        };
        replace::AlterConfigsRequest::default()
            .with_resources(ours.resources.iter().map(resource).collect())
            .with_validate_only(ours.validate_only)
    }

    fn response(s: &mut Source<'_>, _: i16) -> Self::Response {
        let resource = |s: &mut Source<'_>| {
            replaced::AlterConfigsResourceResponse::default()
                .with_error_code(s.error())
                .with_error_message(s.maybe(Source::text))
                .with_resource_type(s.within(0, 8))
                .with_resource_name(s.text())
        };
        replaced::AlterConfigsResponse::default().with_responses(s.list(resource))
    }

    fn write(theirs: &Self::Response, version: i16) -> Vec<u8> {
        let resources = theirs.responses.iter().map(|r| kafka::AlteredResource {
            error: error_code(r.error_code),
            error_message: maybe_text(&r.error_message),
            resource_type: ResourceType(r.resource_type),
            name: text(&r.resource_name),
        });
        of_lines(Self::KEY, version, resources)
    }
}

pub(crate) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    const KEY: ApiKey = ApiKey::IncrementalAlterConfigs;
    type Request = change::IncrementalAlterConfigsRequest;
    type Response = changed::IncrementalAlterConfigsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> Self::Request {
        let flexible = version >= 1;
        let config = |s: &mut Source<'_>| {
            change::AlterableConfig::default()
                .with_name(s.text())
                .with_config_operation(s.within(-1, 5))
                .with_value(s.maybe(Source::text))
                .with_unknown_tagged_fields(s.tags(flexible))
        };
        let resources = s.list(|s| {
            change::AlterConfigsResource::default()
                .with_resource_type(s.within(0, 8))
                .with_resource_name(s.text())
                .with_configs(s.list(config))
                .with_unknown_tagged_fields(s.tags(flexible))
        });
        change::IncrementalAlterConfigsRequest::default()
            .with_resources(resources)
            .with_validate_only(s.bool())
            .with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> Self::Request {
        let Request::IncrementalAlterConfigs(ours) = ours else {
            panic!("{ours:?}")
        };
        let config = |config: kafka::IncrementalConfig<'_>| {
            let operation = match config.operation {
                ConfigOperation::Set => 0,
                ConfigOperation::Delete => 1,
                ConfigOperation::Append => 2,
                ConfigOperation::Subtract => 3,
                ConfigOperation::Unknown(number) => number,
            };
            change::AlterableConfig::default()
                .with_name(str_bytes(config.name))
                .with_config_operation(operation)
                .with_value(config.value.map(str_bytes))
        };
        let resource = |resource: kafka::IncrementalAlterConfigsResource<'_>| {
            change::AlterConfigsResource::default()
                .with_resource_type(resource.resource_type.0)
                .with_resource_name(str_bytes(resource.name))
                .with_configs(resource.configs.iter().map(config).collect())
        };
        change::IncrementalAlterConfigsRequest::default()
            .with_resources(ours.resources.iter().map(resource).collect())
            .with_validate_only(ours.validate_only)
    }

    fn response(s: &mut Source<'_>, _: i16) -> Self::Response {
        let resource = |s: &mut Source<'_>| {
            changed::AlterConfigsResourceResponse::default()
                .with_error_code(s.error())
                .with_error_message(s.maybe(Source::text))
                .with_resource_type(s.within(0, 8))
                .with_resource_name(s.text())
        };
        changed::IncrementalAlterConfigsResponse::default().with_responses(s.list(resource))
    }

    fn write(theirs: &Self::Response, version: i16) -> Vec<u8> {
        let resources = theirs.responses.iter().map(|r| kafka::AlteredResource {
            error: error_code(r.error_code),
            error_message: maybe_text(&r.error_message),
            resource_type: ResourceType(r.resource_type),
            name: text(&r.resource_name),
        });
        of_lines(Self::KEY, version, resources)
    }
}
