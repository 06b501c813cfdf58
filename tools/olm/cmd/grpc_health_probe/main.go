// Command grpc_health_probe asks a server for its health by gRPC's protocol and exits with 0 when it serves. OLM's probes of
// catalogue pods call it in the image of opm. (The program of that name cannot be pinned beside opm: the checksum database does not
// know the version that opm asks for.)
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// patience is for one answer; the probe's own time limit is shorter or equal.
const patience = 5 * time.Second

func main() {
	address := flag.String("addr", "", "host:port of the server")
	flag.Parse()
	if err := probe(*address); err != nil {
		fmt.Fprintln(os.Stderr, "grpc_health_probe:", err)
		os.Exit(1)
	}
}

func probe(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	answer, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("%s is %s", address, answer.GetStatus())
	}
	return nil
}
