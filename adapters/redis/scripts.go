package redis

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
)

// group is the consumer group of every stream.
const group = script.Group

// loadScripts makes the scripts known to Redis. A Redis that restarted has forgotten them.
func loadScripts(ctx context.Context, client redis.UniversalClient) error {
	for _, one := range script.All() {
		if err := client.ScriptLoad(ctx, one.Source()).Err(); err != nil {
			return err
		}
	}
	return nil
}

// unknown reports whether Redis does not know a script that it was asked to run: nothing was done.
func unknown(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT ") }

// run runs a script by itself, in the shard.
func (db *DB) run(ctx context.Context, s *shard, call script.Call) (script.Answer, error) {
	return db.runOn(ctx, s.key, call)
}

// runOn runs a script on a key that is no shard's.
func (db *DB) runOn(ctx context.Context, key string, call script.Call) (script.Answer, error) {
	answer, err := db.eval(ctx, key, call)
	err = translate(err)
	db.report(ctx, err)
	return answer, err
}

// eval is runOn with the error as Redis returns it, which is not reported.
func (db *DB) eval(ctx context.Context, key string, call script.Call) (script.Answer, error) {
	answer, err := db.client.EvalSha(ctx, call.SHA(), []string{key}, call.Args...).Slice()
	if unknown(err) {
		answer, err = db.client.Eval(ctx, call.Source(), []string{key}, call.Args...).Slice() // now Redis knows it
	}
	return answer, err
}
