package script

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswersAreReadByName(t *testing.T) {
	t.Parallel()
	a := Answer{
		"ended",
		"size", int64(7),
		"attempts", "3",
		"text", "size",
		"nothing", nil,
		"names",
		[]any{"a", "b"},
		"rows",
		[]any{[]any{"id", "state"}, []any{[]any{"1", []any{"facts"}}, []any{"2"}}},
	}
	require.Equal(t, "ended", a.Word())
	require.Equal(t, int64(7), a.Number("size"))
	require.Equal(t, int64(3), a.Number("attempts"))
	require.Equal(t, "size", a.Text("text"), "a value is no name")
	require.Equal(t, []string{"a", "b"}, a.Texts("names"))
	require.Zero(t, a.Number("nothing"))
	require.Empty(t, a.Text("unknown"))
	require.Empty(t, a.Rows("unknown"))
	require.Empty(t, Answer(nil).Word())

	rows := a.Rows("rows")
	require.Len(t, rows, 2)
	require.Equal(t, "1", rows[0].Text("id"))
	require.Equal(t, []any{"facts"}, rows[0].List("state"))
	require.True(t, rows[0].Exists("state"))
	require.False(t, rows[1].Exists("state"), "it is shorter")
	require.Panics(t, func() { rows[0].Text("unknown") })
}
