// Command asynq does with hibiken/asynq what OpenHQM does: it takes requests over HTTP, keeps them in Redis, POSTs each
// to a backend and keeps the response. It is a module of its own, so that nothing of it gets into the product, and is
// built and run by the benchmark beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
)

// options of a process.
type options struct {
	role    string
	redis   string
	backend string
	workers int
}

func main() {
	var o options
	flag.StringVar(&o.role, "role", "all", "all, api or worker")
	flag.StringVar(&o.redis, "redis", "127.0.0.1:6379", "host:port of Redis")
	flag.StringVar(&o.backend, "backend", "", "`URL` to POST to")
	flag.IntVar(&o.workers, "workers", 64, "calls at the same time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "asynq:", err)
		os.Exit(1)
	}
}

// run does what the role says until ctx ends, and says on standard error where it listens.
func run(ctx context.Context, o options) error {
	address := "none"
	if o.role != "worker" {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		client := asynq.NewClient(asynq.RedisClientOpt{Addr: o.redis})
		defer func() { _ = client.Close() }()
		server := http.Server{Handler: front{client}, ReadHeaderTimeout: time.Minute}
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		defer func() { _ = errors.Join(server.Close(), <-served) }()
		address = listener.Addr().String()
	}
	if o.role != "api" {
		server := newServer(o)
		if err := server.Start(newWorker(o)); err != nil {
			return err
		}
		defer server.Shutdown()
	}
	fmt.Fprintf(os.Stderr, "{\"address\":%q}\n", address)
	<-ctx.Done()
	return nil
}
