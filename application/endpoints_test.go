package application_test

import (
	"sync/atomic"
	"testing"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// configured are endpoints that can be replaced.
type configured = atomic.Pointer[ports.EndpointSet]

func configure(set ports.EndpointSet) *configured {
	var c configured
	c.Store(&set)
	return &c
}

// calledBy returns the same endpoints, with a backend.
func calledBy(endpoints ports.Endpoints, backend ports.Backend) ports.Endpoints {
	set := *endpoints.Load()
	set.Backend = backend
	return configure(set)
}

func TestSubmitHeedsTheEndpointsAsTheyAreNow(t *testing.T) {
	t.Parallel()
	opts := submitOptions()
	endpoints := configure(ports.EndpointSet{})
	opts.Endpoints = endpoints
	submission := valid()
	submission.Endpoint = ""
	require.ErrorContains(t, refuse(t, opts, submission), "no default endpoint")

	endpoints.Store(&ports.EndpointSet{ByName: map[string]domain.Endpoint{"new": {Name: "new"}}, Default: "new"})
	require.Equal(t, "new", accept(t, opts, submission).Endpoint)

	endpoints.Store(&ports.EndpointSet{})
	submission.Endpoint = "new"
	require.ErrorIs(t, refuse(t, opts, submission), ports.ErrUnknownEndpoint)
}

// TestACallKeepsToOneConfiguration replaces the endpoints while a call runs. What becomes of the request is decided by
// the endpoint as it was.
func TestACallKeepsToOneConfiguration(t *testing.T) {
	t.Parallel()
	ctrl := gomock.NewController(t)
	before, after := mocks.NewMockBackend(ctrl), mocks.NewMockBackend(ctrl)
	observer := mocks.NewMockObserver(ctrl)
	observer.EXPECT().Attempted(gomock.Any(), gomock.Any()).Times(2)
	opts := processOptions()
	retrying := opts.Endpoints.Load().ByName["orders"]
	stubborn := retrying
	stubborn.Retry.MaxAttempts = 1
	endpoints := configure(ports.EndpointSet{ByName: map[string]domain.Endpoint{"orders": retrying}, Backend: before})
	opts.Endpoints = endpoints
	busy := &domain.Response{StatusCode: 503}
	before.EXPECT().Do(gomock.Any(), gomock.Any()).DoAndReturn(func(any, ports.Call) (*domain.Response, error) {
		endpoints.Store(&ports.EndpointSet{ByName: map[string]domain.Endpoint{"orders": stubborn}, Backend: after})
		return busy, nil
	})
	after.EXPECT().Do(gomock.Any(), gomock.Any()).Return(busy, nil)
	process := application.NewProcess(opts, observer)

	require.Equal(t, domain.Pending, process.Process(t.Context(), delivery(), nil).Status)
	require.Equal(t, domain.Failed, process.Process(t.Context(), delivery(), nil).Status)
}
