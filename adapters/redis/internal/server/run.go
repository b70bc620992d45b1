package server

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
)

// Run runs a script alone, in a shard. The error is a port's, and is reported.
func (s *Server) Run(ctx context.Context, shard *Shard, call script.Call) (script.Answer, error) {
	return s.RunOn(ctx, shard.Key, call)
}

// RunOn is Run for a script on a stream.
func (s *Server) RunOn(ctx context.Context, key string, call script.Call) (script.Answer, error) {
	answer, err := s.Eval(ctx, key, call)
	err = Translate(err)
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

// unknown reports whether Redis does not know a script that it was asked to run: nothing was done.
func unknown(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT ") }
