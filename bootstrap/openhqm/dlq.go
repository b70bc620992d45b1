package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/openhqm/openhqm/configs"
)

const dlqUsage = `Usage:
  openhqm dlq list [flags]           list dead letters, newest first
  openhqm dlq show [flags] ID        show one with its original, as the client sent it: with the client's credentials
  openhqm dlq resend [flags] [ID]    send one again, or those that match
  openhqm dlq purge --yes [flags] [ID]
                                     delete one, or those that match, for good

Where there are API keys, that of an administrator is taken from the environment variable OPENHQM_KEY.
Exit code: 0, 1 when something could not be done, 2 when the command line or the configuration is wrong.

Flags:
`

// keyVariable is the only way to give the key: a command line can be read by everybody on the machine.
const keyVariable = "OPENHQM_KEY"

// dlqOrder is what the command line asks for.
type dlqOrder struct {
	command string
	id      string // empty: those that match the filter
	filter  dlqFilter
	rate    int // dead letters a second; 0: what the server does
	all     bool
	yes     bool
	json    bool
	url     string
	config  string
}

// dlqFilter says which dead letters are meant.
type dlqFilter struct {
	endpoint, reason, before string
	limit                    int
}

// any reports whether the filter matches everything.
func (f *dlqFilter) any() bool { return f.endpoint == "" && f.reason == "" && f.before == "" }

// deadLetters is the subcommand dlq. It talks to a running api.
func deadLetters(args, environ []string, stdout, stderr io.Writer) int {
	order, err := parseDLQ(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	base, err := order.base(environ)
	if err != nil {
		return refuse(stderr, err)
	}
	client := newDLQClient(base, variable(environ, keyVariable))
	defer client.close()
	session := &dlqSession{order: order, client: client, stdout: stdout, stderr: stderr}
	if err := session.run(); err != nil {
		complain(stderr, err)
		return exitFailed
	}
	return exitOK
}

// parseDLQ has told stderr what is wrong when it gives an error.
func parseDLQ(args []string, stderr io.Writer) (dlqOrder, error) {
	var order dlqOrder
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		order.command, args = args[0], args[1:]
	}
	flags := dlqFlags(&order, stderr)
	var ids []string
	for { // flags may also come after the id
		if err := flags.Parse(args); err != nil {
			return order, err
		}
		if flags.NArg() == 0 {
			break
		}
		ids, args = append(ids, flags.Arg(0)), flags.Args()[1:]
	}
	if len(ids) > 0 {
		order.id = ids[0]
	}
	err := order.check(len(ids))
	if slices.Contains(ids, "") {
		// Most likely a variable of the shell that is not set. It must never mean all of them.
		err = fmt.Errorf("dlq %s: the id is empty", order.command)
	}
	if err != nil {
		complain(stderr, fmt.Errorf("%w; see openhqm dlq --help", err))
	}
	return order, err
}

// dlqFlags has the flags that the command understands, or all of them when it is none.
func dlqFlags(order *dlqOrder, stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("openhqm dlq", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, dlqUsage)
		flags.PrintDefaults()
	}
	flags.StringVar(&order.url, "url", "", "where the api is (default: this machine, at server.port)")
	flags.StringVar(&order.config, "config", "", "YAML `file` that has server.port (also OPENHQM_CONFIG)")
	flags.BoolVar(&order.json, "json", false, "print JSON, a document for each call of the api")
	if order.command != "show" {
		flags.StringVar(&order.filter.endpoint, "endpoint", "", "only those of this endpoint")
		flags.StringVar(&order.filter.reason, "reason", "", "only those that failed for this reason")
		flags.StringVar(&order.filter.before, "before", "", "only those that failed before this RFC 3339 `time`")
		flags.IntVar(&order.filter.limit, "limit", 100, "at most so many, the newest ones")
	}
	if order.command != "show" && order.command != "list" {
		flags.BoolVar(&order.all, "all", false, "all that match, without a limit")
	}
	if order.command == "resend" || order.command == "" {
		flags.IntVar(&order.rate, "rate", 0, "at most so many a second (default 100)")
	}
	if order.command == "purge" || order.command == "" {
		flags.BoolVar(&order.yes, "yes", false, "really delete them")
	}
	return flags
}

// check says what is missing or too much.
func (o *dlqOrder) check(ids int) error {
	if !slices.Contains([]string{"list", "show", "resend", "purge"}, o.command) {
		return fmt.Errorf("dlq: unknown command %q", o.command)
	}
	several := o.command == "resend" || o.command == "purge"
	switch {
	case ids > 1, ids == 1 && o.command == "list":
		return fmt.Errorf("dlq %s: too many arguments", o.command)
	case ids == 1 && several && (o.all || !o.filter.any()):
		return fmt.Errorf("dlq %s: give an id or a filter, not both", o.command)
	case ids == 0 && o.command == "show":
		return errors.New("dlq show: which one? Give an id")
	case ids == 0 && several && !o.all && o.filter.any():
		return fmt.Errorf("dlq %s: which ones? Give an id, a filter or --all", o.command)
	case o.command != "show" && o.filter.limit < 1:
		return fmt.Errorf("dlq %s: --limit must be 1 at least", o.command)
	case o.rate < 0:
		return errors.New("dlq resend: --rate must be 1 at least")
	case o.command == "purge" && !o.yes:
		return errors.New("dlq purge: what is deleted cannot be brought back: add --yes")
	}
	return nil
}

// limit is how many dead letters are meant at most.
func (o *dlqOrder) limit() int {
	if o.all {
		return math.MaxInt
	}
	return o.filter.limit
}

// base is where the api is: as told, or on this machine as configured.
func (o *dlqOrder) base(environ []string) (string, error) {
	if o.url != "" {
		u, err := url.Parse(o.url)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" {
			return "", errors.New("dlq: --url must be like http://host:port")
		}
		return strings.TrimSuffix(o.url, "/"), nil
	}
	config, _, err := configs.Load(configs.Sources{File: o.config, DotEnv: ".env", Environ: environ})
	if err != nil {
		return "", err
	}
	if config.Server.Port == 0 {
		return "", errors.New("dlq: server.port is 0, any free one: give the address with --url")
	}
	host := net.JoinHostPort(reachable(config.Server.Host), strconv.Itoa(config.Server.Port))
	return (&url.URL{Scheme: "http", Host: host}).String(), nil
}

// variable looks a variable up; empty when there is none.
func variable(environ []string, name string) string {
	for _, v := range environ {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
