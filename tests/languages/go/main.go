// Command generated stores a credential with the client that buf generates for Go, beside
// genproto's own google.rpc types, and reads it back.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "generated/credcache/v1"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "go:", err)
		os.Exit(1)
	}
	fmt.Println("ok: Go")
}

func run(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := pb.NewCredentialCacheServiceClient(connection)

	put := &pb.PutRequest{
		Namespace:  "generated",
		Key:        "go",
		Value:      []byte("token"),
		Lifetime:   &pb.PutRequest_Ttl{Ttl: durationpb.New(time.Minute)},
		Tags:       []string{"b", "a"},
		Attributes: map[string]string{"region": "eu"},
	}
	stored, err := client.Put(ctx, put)
	if err != nil {
		return err
	}
	response, err := client.Get(ctx, &pb.GetRequest{Namespace: "generated", Key: "go"})
	if err != nil {
		return err
	}
	found := response.GetCredential()
	if !bytes.Equal(found.GetValue(), put.Value) || found.GetVersion() != stored.GetVersion() ||
		!slices.Equal(found.GetTags(), []string{"a", "b"}) || found.GetAttributes()["region"] != "eu" {
		return fmt.Errorf("another credential came back, of version %d", found.GetVersion())
	}

	put.LeaseToken = make([]byte, 16)
	_, err = client.Put(ctx, put)
	if err := isLost(status.Convert(err)); err != nil {
		return err
	}
	batch, err := client.BatchPut(ctx, &pb.BatchPutRequest{Requests: []*pb.PutRequest{put}})
	if err != nil {
		return err
	}
	// Only genproto's own Status is taken here.
	return isLost(status.FromProto(batch.GetResults()[0].GetError()))
}

func isLost(refusal *status.Status) error {
	for _, detail := range refusal.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok &&
			refusal.Code() == codes.Aborted && info.GetReason() == "LEASE_LOST" {
			return nil
		}
	}
	return fmt.Errorf("a lease that isn't there was answered with %v", refusal)
}
