package generated;

import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import com.google.protobuf.TextFormat;
import com.google.rpc.ErrorInfo;
import credcache.v1.BatchPutRequest;
import credcache.v1.CredentialCacheServiceGrpc;
import credcache.v1.GetRequest;
import credcache.v1.PutRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Stores a credential with the client that buf generates for Java, beside the google.rpc types of
 * proto-google-common-protos, and reads it back.
 */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) throws Exception {
    var channel = Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create()).build();
    try {
      var client =
          CredentialCacheServiceGrpc.newBlockingStub(channel).withDeadlineAfter(20, TimeUnit.SECONDS);
      var put =
          PutRequest.newBuilder()
              .setNamespace("generated")
              .setKey("java")
              .setValue(ByteString.copyFromUtf8("token"))
              .setTtl(Duration.newBuilder().setSeconds(60))
              .addTags("b")
              .addTags("a")
              .putAttributes("region", "eu")
              .build();
      // As a program should log it.
      var text = TextFormat.debugFormatPrinter().printToString(put);
      check(text.contains("java") && !text.contains("token"), "the value isn't redacted");
      var stored = client.put(put);
      var get = GetRequest.newBuilder().setNamespace("generated").setKey("java").build();
      var found = client.get(get).getCredential();
      check(found.getValue().equals(put.getValue()), "another value");
      check(found.getVersion() == stored.getVersion(), "another version");
      check(found.getTagsList().equals(List.of("a", "b")), "other tags");
      check(found.getAttributesOrThrow("region").equals("eu"), "other attributes");

      var late = put.toBuilder().setLeaseToken(ByteString.copyFrom(new byte[16])).build();
      try {
        client.put(late);
        check(false, "a lease that isn't there was filled");
      } catch (StatusRuntimeException error) {
        checkLost(StatusProto.fromThrowable(error));
      }
      var batch = client.batchPut(BatchPutRequest.newBuilder().addRequests(late).build());
      checkLost(batch.getResults(0).getError());
    } finally {
      channel.shutdownNow();
    }
    System.out.println("ok: Java");
  }

  private static void checkLost(com.google.rpc.Status refusal) throws Exception {
    check(refusal.getCode() == io.grpc.Status.Code.ABORTED.value(), "another code");
    var info = refusal.getDetails(0).unpack(ErrorInfo.class);
    check(info.getReason().equals("LEASE_LOST"), "another reason");
  }

  private static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new AssertionError(otherwise);
    }
  }
}
