// Command bench measures OpenHQM on its queues beside its floors, which are what a bare gin handler costs for the same
// submit and what a bare POST costs to the same backend, and beside hibiken/asynq doing the same work on a Redis of its
// own. Everything runs on loopback in processes of its own, so that the CPU time of each is read from the kernel. On
// Kafka and SQS the records are in a Redis of their own too; SQS is an ElasticMQ, whose ceiling is measured by the bare
// SDK. Machines are noisy: trust the ratios, which are taken within the rounds of one run, as medians.
//
//	go run ./tests/bench -binary bin/openhqm
//
// It has to be started at the top of the repository.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options of a run.
type options struct {
	binary   string
	queues   string
	jvm      string
	asynq    bool
	rounds   int
	requests int
	clients  int
	waiting  int
	json     string
}

// limit is how long a run may take in all. A million waiting take some minutes.
const limit = 2 * time.Hour

func main() {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		exit(child(os.Args[2], os.Args[3:]))
	}
	var o options
	flag.StringVar(&o.binary, "binary", "bin/openhqm", "the built program")
	flag.StringVar(&o.queues, "queues", "",
		"queues to measure, with commas between them: "+strings.Join(queueNames(), ", ")+
			" (default all for which a server can be had)")
	flag.StringVar(&o.jvm, "jvm", productionJVM, "options of Java for brokers, beside those for tests")
	flag.BoolVar(&o.asynq, "asynq", true, "also measure hibiken/asynq if redis is among the queues")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds, of which the median counts")
	flag.IntVar(&o.requests, "requests", 20000, "requests a round")
	flag.IntVar(&o.clients, "clients", 64, "connections of the load")
	flag.IntVar(&o.waiting, "waiting", 0, "also measure with so many requests waiting, for instance 1000000")
	flag.StringVar(&o.json, "json", "", "also write the figures to this `file`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run takes all measurements and reports them.
func run(ctx context.Context, o options) (err error) {
	b := &bench{options: o, ctx: ctx, servers: map[string]string{}, brokers: map[string]*process{}}
	defer func() { err = errors.Join(err, b.close()) }()
	if b.dir, err = os.MkdirTemp("", "openhqm-bench-"); err != nil {
		return err
	}
	if b.backend, err = b.startChild("backend"); err != nil {
		return err
	}
	systems, err := b.systems()
	if err != nil {
		return err
	}
	figures, err := b.measure(systems)
	if err != nil {
		return err
	}
	figures.print(os.Stdout)
	if o.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(text, '\n'), 0o600)
}
