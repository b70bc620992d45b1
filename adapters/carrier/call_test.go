package carrier_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/carrier"
	"github.com/openhqm/openhqm/ports"
)

func TestACallGetsEachAnswer(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	c := carrier.NewCall(3)
	for index, err := range map[int]error{2: refused, 0: nil, 1: nil} {
		require.False(t, c.Over())
		go c.Answer(index, err)
	}
	require.Equal(t, []error{nil, nil, refused}, c.Wait(t.Context()))
	require.True(t, c.Over())
	require.Empty(t, carrier.NewCall(0).Wait(t.Context()))
}

func TestACallThatIsGivenUpKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := carrier.NewCall(2)
	c.Answer(0, nil)
	cancel(cause)
	errs := c.Wait(ctx)
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], ports.ErrUnavailable)
	require.ErrorIs(t, errs[1], cause)
	c.Answer(1, nil)
	require.ErrorIs(t, errs[1], cause, "it has been given out")
	require.True(t, c.Over())
}
