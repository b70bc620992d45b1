// Package script holds the Lua scripts that run in Redis, each of them one step, and how Go calls them: with arguments
// that have names, and answers whose values have names. A newcomer reads lua/prelude.lua first.
package script

import (
	"crypto/sha1" //nolint:gosec // the name of a script in Redis
	"embed"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// Group is the consumer group of every stream.
const Group = "openhqm"

// State lists the fields that a script returns of a record as "state", in this order.
var State = []string{
	"facts", "status", "updated", "next", "attempts", "deliveries", "code", "reason", "error", "completed", "took",
	"answered", // domain.Response.Size of the response
}

// The scripts. Each is described at the top of its file in lua, which also declares its arguments.
var (
	Accept    = inShard(whenRoom, "accept")
	Cancel    = inShard(always, "cancel")
	Receive   = inShard(always, "receive")
	Extend    = inShard(always, "extend")
	Finish    = inShard(always, "finish")
	Conclude  = inShard(always, "conclude")
	Reject    = inShard(whenRoom, "reject")
	Sweep     = inShard(always, "sweep")
	Pause     = inShard(always, "pause")
	Announce  = inShard(always, "announce")
	Depths    = inShard(whenRoom, "depths")
	Rehearse  = inShard(always, "rehearse")
	Begin     = inShard(always, "begin") // this and the next four: for requests that a carrier has
	Keep      = inShard(whenRoom, "keep")
	Published = inShard(always, "published")
	Suspects  = inShard(always, "suspects")
	Lost      = inShard(always, "lost")
	Import    = inShard(whenRoom, "import")
	Remove    = inShard(always, "remove")
	Read      = onStream(whenRoom, "read")
	Tidy      = onStream(whenRoom, "tidy")
)

// All returns every script.
func All() []*Script {
	return []*Script{
		Accept, Cancel, Receive, Extend, Finish, Conclude, Reject, Sweep, Pause, Announce, Depths, Rehearse,
		Begin, Keep, Published, Suspects, Lost, Import, Remove, Read, Tidy,
	}
}

// What a script begins with says whether it may write when Redis has reached maxmemory. Those may that work off what is
// there, which frees memory in the end. See "Script flags" in the manual of Redis 7.0.
const (
	whenRoom = ""
	always   = "#!lua flags=allow-oom\n"
)

// Script is one step that Redis runs alone. It is built when it is first used.
type Script struct {
	name string
	code func() code
}

type code struct {
	source string
	sha    string
	args   []string
}

// Name returns what the script does, in a word.
func (s *Script) Name() string { return s.name }

// Source returns the text of the script, with which Redis runs it and knows it from then on.
func (s *Script) Source() string { return s.code().source }

// SHA returns the name of the script for a Redis that knows it.
func (s *Script) SHA() string { return s.code().sha }

//go:embed lua/*.lua
var sources embed.FS

// inShard makes a script whose key is what the keys of a shard begin with.
func inShard(header, name string) *Script {
	return &Script{name, sync.OnceValue(func() code { return build(header, source(name), prelude()) })}
}

// onStream makes a script whose key is a stream.
func onStream(header, name string) *Script {
	return &Script{name, sync.OnceValue(func() code { return build(header, source(name), nil) })}
}

func build(header, body string, shared []part) code {
	args := declared(body)
	parts := slices.Concat([]part{
		newPart("local GROUP = '" + Group + "'\n"),
		newPart("local NAMED = " + strconv.Itoa(len(args)) + "\n"),
		newPart("local STATE = {'" + strings.Join(State, "', '") + "'}\n"),
	}, shared)
	text := header + used(parts, body)
	sum := sha1.Sum([]byte(text)) //nolint:gosec // as above
	return code{source: text, sha: hex.EncodeToString(sum[:]), args: args}
}

// source returns the text of a file without comments, whose words would look like names.
func source(name string) string {
	text, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // it is compiled in
	}
	var code strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "--")
		if line = strings.TrimRight(line, " \n"); line != "" {
			code.WriteString(line + "\n")
		}
	}
	return code.String()
}

var declaration = regexp.MustCompile(`(?m)^local ([\w,\s]+?)\s+=\s+unpack\(ARGV, 1, NAMED\)$`)

// declared returns the names of the arguments of a script, in their order; none when it has no such statement.
func declared(body string) []string {
	found := declaration.FindStringSubmatch(body)
	if found == nil {
		return nil
	}
	return strings.FieldsFunc(found[1], func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
}

// A part is one definition of the prelude, or statements that are in every script, which have no name.
type part struct {
	name string
	text string
}

var prelude = sync.OnceValue(func() []part { return split(source("prelude")) })

// split makes parts of a text. Each begins with a line that is not indented and begins with local, or is do.
func split(text string) []part {
	var parts []part
	current := ""
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "local ") || line == "do\n" {
			parts, current = append(parts, newPart(current)), ""
		}
		current += line
	}
	return append(parts, newPart(current))[1:]
}

func newPart(text string) part {
	words := strings.FieldsFunc(text, notInName)
	if len(words) < 2 || words[0] != "local" {
		return part{text: text}
	}
	if words[1] == "function" {
		return part{words[2], text}
	}
	return part{words[1], text}
}

func notInName(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// used returns a script with the parts that it uses, directly or not. To define the others would cost Redis a few
// percent of each call.
func used(parts []part, body string) string {
	text := body
	words := make(map[string]bool)
	note := func(text string) {
		for _, word := range strings.FieldsFunc(text, notInName) {
			words[word] = true
		}
	}
	note(body)
	for _, p := range slices.Backward(parts) {
		if p.name == "" || words[p.name] {
			note(p.text)
			text = p.text + text
		}
	}
	return text
}

// Call is a script with the arguments of one call.
type Call struct {
	*Script

	Args []any
}

// Call makes a call from names and values in turn. It is cheapest when they are in the order in which the script
// declares them. It panics when one is missing, unknown or there twice: that is a mistake in this program, which the
// first such call shows.
func (s *Script) Call(pairs ...any) Call {
	args := s.code().args
	if len(pairs) != 2*len(args) {
		panic(fmt.Sprintf("script %s: %d arguments instead of %d", s.name, len(pairs)/2, len(args)))
	}
	values := make([]any, len(args))
	for i := range args {
		name, _ := pairs[2*i].(string)
		place := i
		if args[i] != name {
			place = slices.Index(args, name)
		}
		if place < 0 || values[place] != nil || pairs[2*i+1] == nil {
			panic(fmt.Sprintf("script %s: argument %q is unknown, empty or there twice", s.name, name))
		}
		values[place] = pairs[2*i+1]
	}
	return Call{s, values}
}

// And appends arguments without names.
func (c Call) And(more ...any) Call { return Call{c.Script, append(c.Args, more...)} }
