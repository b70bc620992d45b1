package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a script
	"embed"
	"encoding/hex"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// group is the consumer group of every stream.
const group = "openhqm"

// script is one step that Redis does alone.
type script struct {
	source string
	sha    string
}

// scripts are all there are.
type scripts struct {
	accept, cancel, receive, finish, extend, sweep, depths, tidy, reject, result, read, rehearse *script

	begin, keep, published *script // of what a broker carries
}

func newScripts() *scripts {
	return &scripts{
		accept:   inShard(newcomer, "place", "accept"),
		cancel:   inShard(allowOOM, "place", "end", "cancel"),
		receive:  inShard(allowOOM, "place", "stream", "receive"),
		finish:   inShard(allowOOM, "place", "end", "finish"),
		extend:   inShard(allowOOM, "extend"),
		sweep:    inShard(allowOOM, "place", "end", "sweep"),
		depths:   inShard(newcomer, "stream", "depths"),
		tidy:     build(newcomer, "stream", "tidy"),
		reject:   inShard(newcomer, "end", "reject"),
		result:   inShard(allowOOM, "place", "end", "result"),
		read:     build(newcomer, "read"),
		rehearse: inShard(allowOOM, "rehearse"),

		begin:     inShard(allowOOM, "born", "begin"),
		keep:      inShard(newcomer, "place", "born", "end", "keep"),
		published: inShard(allowOOM, "published"),
	}
}

// What a script begins with says whether it may write when Redis has reached maxmemory. Those may that work off what is
// there: it ends, and then memory is free again. See "Script flags" in the manual of Redis 7.0.
const (
	newcomer = ""
	allowOOM = "#!lua flags=allow-oom\n"
)

// inShard builds a script that works on the keys of a shard.
func inShard(header string, names ...string) *script {
	return build(header, append([]string{"common"}, names...)...)
}

// build makes a script of files, each of which may use those before it.
func build(header string, names ...string) *script {
	var text strings.Builder
	text.WriteString(header +
		"local GROUP = '" + group + "'\n" +
		"local STATE = {'" + strings.Join(stateFields, "', '") + "'}\n")
	for _, name := range names {
		text.WriteString(source(name))
	}
	sum := sha1.Sum([]byte(text.String())) //nolint:gosec // as above
	return &script{source: text.String(), sha: hex.EncodeToString(sum[:])}
}

func source(name string) string {
	text, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // it is compiled in
	}
	return string(text)
}

// load makes the scripts known to Redis. A Redis that restarted has forgotten them.
func (s *scripts) load(ctx context.Context, client redis.UniversalClient) error {
	for _, one := range []*script{
		s.accept, s.cancel, s.receive, s.finish, s.extend, s.sweep, s.depths, s.tidy, s.reject, s.result,
		s.read, s.rehearse, s.begin, s.keep, s.published,
	} {
		if err := client.ScriptLoad(ctx, one.source).Err(); err != nil {
			return err
		}
	}
	return nil
}

// unknown reports whether Redis does not know a script that it was asked to run: nothing was done.
func unknown(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// run runs a script by itself, in the shard.
func (db *DB) run(ctx context.Context, s *shard, one *script, args ...any) ([]any, error) {
	return db.runOn(ctx, s.key, one, args...)
}

// runOn runs a script whose first key that is.
func (db *DB) runOn(ctx context.Context, key string, one *script, args ...any) ([]any, error) {
	answer, err := db.eval(ctx, key, one, args...)
	err = translate(err)
	db.report(ctx, err)
	return answer, err
}

// eval is runOn with the error as Redis gives it, which is not reported.
func (db *DB) eval(ctx context.Context, key string, one *script, args ...any) ([]any, error) {
	answer, err := db.client.EvalSha(ctx, one.sha, []string{key}, args...).Slice()
	if unknown(err) {
		answer, err = db.client.Eval(ctx, one.source, []string{key}, args...).Slice() // and it knows it from now on
	}
	return answer, err
}
