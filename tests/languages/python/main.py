"""Stores a credential with the messages that buf generates for Python, beside the
google.rpc types of googleapis-common-protos, and reads it back."""

import sys

import grpc
from google.rpc import error_details_pb2, status_pb2

from credcache.v1 import credential_cache_service_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["CredentialCacheService"]


def main(address):
    with grpc.insecure_channel(address) as channel:
        put = pb.PutRequest(
            namespace="generated",
            key="python",
            value=b"token",
            ttl={"seconds": 60},
            tags=["b", "a"],
            attributes={"region": "eu"},
        )
        stored = call(channel, "Put", put)
        found = call(channel, "Get", pb.GetRequest(namespace="generated", key="python"))
        found = found.credential
        assert (found.value, found.version) == (b"token", stored.version)
        assert list(found.tags) == ["a", "b"] and found.attributes["region"] == "eu"

        put.lease_token = bytes(16)
        try:
            call(channel, "Put", put)
            raise AssertionError("a lease that isn't there was filled")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.ABORTED
            details = dict(error.trailing_metadata())["grpc-status-details-bin"]
            assert_lost(status_pb2.Status.FromString(details))
        batch = call(channel, "BatchPut", pb.BatchPutRequest(requests=[put]))
        refusal = batch.results[0].error
        assert type(refusal) is status_pb2.Status
        assert_lost(refusal)
    print("ok: Python")


def call(channel, method, request):
    """A call without a stub, because only messages are generated here."""
    response = pb.DESCRIPTOR.message_types_by_name[method + "Response"]._concrete_class
    rpc = channel.unary_unary(
        f"/{SERVICE.full_name}/{method}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=response.FromString,
    )
    return rpc(request, timeout=20)


def assert_lost(status):
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason) == ("credcache", "LEASE_LOST")


main(sys.argv[1])
