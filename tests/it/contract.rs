//! The contract as reflection serves it.

use credcache::rpc::proto::DESCRIPTORS;
use credcache_core::ATTRIBUTES_FIELD;
use prost_reflect::{DescriptorPool, FieldDescriptor, FileDescriptor, Kind, Value};

const PACKAGE: &str = "credcache.v1";

fn served() -> DescriptorPool {
    DescriptorPool::decode(DESCRIPTORS).expect("a descriptor set")
}

/// The fields of the package's own messages without the entries of maps.
fn fields(pool: &DescriptorPool) -> Vec<FieldDescriptor> {
    let messages = pool.all_messages();
    let own = messages.filter(|one| one.package_name() == PACKAGE && !one.is_map_entry());
    own.flat_map(|message| message.fields().collect::<Vec<_>>())
        .collect()
}

fn is_redacted(field: &FieldDescriptor) -> bool {
    let options = field.options();
    let redact = options.get_field_by_name("debug_redact");
    redact.is_some_and(|redact| *redact == Value::Bool(true))
}

fn option(file: &FileDescriptor, name: &str) -> String {
    let options = file.options();
    let value = options.get_field_by_name(name).expect("a known option");
    match value.into_owned() {
        Value::String(text) => text,
        Value::Bool(flag) => flag.to_string(),
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn secrets_and_nothing_else_are_marked_for_redaction() {
    let pool = served();
    let fields = fields(&pool);
    let mut redacted: Vec<_> = fields
        .iter()
        .filter(|field| is_redacted(field))
        .map(|field| field.full_name().trim_start_matches("credcache.v1."))
        .collect();
    redacted.sort_unstable();
    let expected = [
        "AbandonLeaseRequest.lease_token",
        "Credential.attributes",
        "Credential.value",
        "ExtendLeaseRequest.lease_token",
        "Lease.token",
        "PutRequest.attributes",
        "PutRequest.lease_token",
        "PutRequest.value",
    ];
    assert_eq!(redacted, expected);
    // Every field of bytes is a value or a token.
    for field in fields.iter().filter(|field| field.kind() == Kind::Bytes) {
        assert!(is_redacted(field), "{}", field.full_name());
    }
}

#[test]
fn every_language_finds_its_options() {
    let pool = served();
    for (file, options) in [
        (
            "credcache/v1/credential_cache_service.proto",
            &[
                ("csharp_namespace", "Credcache.V1"),
                ("go_package", "credcache/v1;credcachev1"),
                ("java_multiple_files", "true"),
                ("java_outer_classname", "CredentialCacheServiceProto"),
                ("java_package", "credcache.v1"),
                ("objc_class_prefix", "CCH"),
                ("php_namespace", "Credcache\\V1"),
                ("ruby_package", "Credcache::V1"),
            ][..],
        ),
        (
            "google/rpc/status.proto",
            &[
                ("cc_enable_arenas", "true"),
                (
                    "go_package",
                    "google.golang.org/genproto/googleapis/rpc/status;status",
                ),
                ("java_multiple_files", "true"),
                ("java_outer_classname", "StatusProto"),
                ("java_package", "com.google.rpc"),
                ("objc_class_prefix", "RPC"),
            ],
        ),
        (
            "google/rpc/error_details.proto",
            &[
                (
                    "go_package",
                    "google.golang.org/genproto/googleapis/rpc/errdetails;errdetails",
                ),
                ("java_multiple_files", "true"),
                ("java_outer_classname", "ErrorDetailsProto"),
                ("java_package", "com.google.rpc"),
                ("objc_class_prefix", "RPC"),
            ],
        ),
    ] {
        let file = pool.get_file_by_name(file).expect("a served file");
        for (name, expected) in options {
            assert_eq!(option(&file, name), *expected, "{name}");
        }
    }
}

/// The types are compared field by field with those that a gRPC runtime includes.
#[test]
fn google_types_are_the_public_ones() {
    let (ours, public) = (served(), tonic_types::pb::FILE_DESCRIPTOR_SET);
    let public = DescriptorPool::decode(public).expect("a descriptor set");
    let shape = |pool: &DescriptorPool, name: &str| -> Option<Vec<String>> {
        let message = pool.get_message_by_name(name)?;
        let fields = message.fields().map(|field| {
            let (number, name, kind) = (field.number(), field.name(), field.kind());
            format!("{number} {name} {kind:?} {:?}", field.cardinality())
        });
        Some(fields.collect())
    };
    let mut compared = 0;
    for message in public.all_messages() {
        if message.package_name() == "google.rpc" {
            let name = message.full_name();
            let (ours, public) = (shape(&ours, name), shape(&public, name));
            assert_eq!(ours, public, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 10, "{compared}");
}

#[test]
fn attributes_are_stored_as_the_contract_numbers_them() {
    let pool = served();
    let credential = pool.get_message_by_name("credcache.v1.Credential");
    let attributes = credential.and_then(|it| it.get_field_by_name("attributes"));
    let number = attributes.expect("the field").number();
    assert_eq!(number, u32::from(ATTRIBUTES_FIELD));
}
