package server

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
)

// Run runs a script alone, in a shard. The error is a port's, and is reported.
func (s *Server) Run(ctx context.Context, shard *Shard, call script.Call) (script.Answer, error) {
	answer, err := s.Eval(ctx, shard.Key, call)
	err = failure(shard, call, err)
	s.Report(ctx, err)
	return answer, err
}

// failure returns the error of a port for that of a script; nil stays nil.
func failure(shard *Shard, call script.Call, err error) error {
	if err == nil {
		return nil
	}
	return Translate(&shardError{call.Name(), shard.Key, err})
}

// RunOn is Run for a script on a stream.
func (s *Server) RunOn(ctx context.Context, stream string, call script.Call) (script.Answer, error) {
	answer, err := s.Eval(ctx, stream, call)
	err = Translate(named("stream "+stream, err))
	s.Report(ctx, err)
	return answer, err
}

// Eval is RunOn with the error as Redis returns it, which is not reported.
func (s *Server) Eval(ctx context.Context, key string, call script.Call) (script.Answer, error) {
	answer, err := s.Client.EvalSha(ctx, call.SHA(), []string{key}, call.Args...).Slice()
	if unknown(err) {
		answer, err = s.Client.Eval(ctx, call.Source(), []string{key}, call.Args...).Slice() // now Redis knows it
	}
	return answer, err
}

// Exec runs a pipeline. Afterwards each command has its own error, also when Redis refused the connection: go-redis
// leaves that error, such as WRONGPASS, off the commands.
func Exec(ctx context.Context, pipe redis.Pipeliner) []redis.Cmder {
	commands, err := pipe.Exec(ctx)
	if err != nil && !slices.ContainsFunc(commands, func(c redis.Cmder) bool { return c.Err() != nil }) {
		for _, command := range commands {
			command.SetErr(err)
		}
	}
	return commands
}

// unknown reports whether Redis does not know a script that it was asked to run: nothing was done.
func unknown(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT ") }
