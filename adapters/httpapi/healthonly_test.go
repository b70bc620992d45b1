package httpapi

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

func TestAWorkerShowsHealthAndMetricsAlone(t *testing.T) {
	t.Parallel()
	opts, _, _ := testOptions(&fakes{})
	opts.HealthOnly = true
	a := newAPI(t.Context(), opts)
	want := []string{"/", "/health", "/health/live", "/health/ready", "/metrics"}
	for listener, routes := range map[string]gin.RoutesInfo{
		"clients": a.engine().Routes(), "administrators": a.adminEngine().Routes(),
	} {
		got := make(map[string][]string)
		for _, route := range routes {
			got[route.Path] = append(got[route.Path], route.Method)
		}
		require.ElementsMatch(t, want, slices.Collect(maps.Keys(got)), listener)
		for path, methods := range got {
			require.ElementsMatch(t, []string{http.MethodGet, http.MethodHead}, methods, path)
		}
	}
	recorder := httptest.NewRecorder()
	a.handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/proxy/orders/1", nil))
	require.Equal(t, http.StatusNotFound, recorder.Code)
}
