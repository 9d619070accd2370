// Stores a credential with the client that buf generates for TypeScript, and reads it back.

import { strict as assert } from "node:assert";

import { create } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import {
  CredentialCacheService,
  PutRequestSchema,
} from "./credcache/v1/credential_cache_service_pb";
import { ErrorInfoSchema } from "./google/rpc/error_details_pb";

async function main(address: string) {
  const transport = createGrpcTransport({ baseUrl: `http://${address}`, defaultTimeoutMs: 20_000 });
  const client = createClient(CredentialCacheService, transport);
  const put = create(PutRequestSchema, {
    namespace: "generated",
    key: "typescript",
    value: new TextEncoder().encode("token"),
    lifetime: { case: "ttl", value: { seconds: 60n } },
    tags: ["b", "a"],
    attributes: { region: "eu" },
  });
  const stored = await client.put(put);
  const { outcome } = await client.get({ namespace: "generated", key: "typescript" });
  assert(outcome.case === "credential");
  const found = outcome.value;
  assert.deepEqual(found.value, put.value);
  assert.equal(found.version, stored.version);
  assert.deepEqual(found.tags, ["a", "b"]);
  assert.deepEqual(found.attributes, { region: "eu" });

  put.leaseToken = new Uint8Array(16);
  await assert.rejects(client.put(put), (error) => {
    assert(error instanceof ConnectError && error.code === Code.Aborted);
    const [info] = error.findDetails(ErrorInfoSchema);
    return info?.reason === "LEASE_LOST";
  });
  const { results } = await client.batchPut({ requests: [put] });
  const refusal = results[0].outcome;
  assert(refusal.case === "error" && refusal.value.code === Code.Aborted);
  const info = anyUnpack(refusal.value.details[0], ErrorInfoSchema);
  assert.equal(info?.reason, "LEASE_LOST");
  console.log("ok: TypeScript");
  process.exit(0);
}

main(process.argv[2]).catch((error) => {
  console.error("typescript:", error);
  process.exit(1);
});
