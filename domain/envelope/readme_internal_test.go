package envelope

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func namesOf[T any](known []member[T]) []string {
	names := make([]string, len(known))
	for i := range known {
		names[i] = known[i].name
	}
	return names
}

// TestTheREADMEHasEveryMember compares the tables of each message with the members that are read or written, both ways.
func TestTheREADMEHasEveryMember(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for title, want := range map[string][]string{
		"A request": append(namesOf(messageMembers), namesOf(metadataMembers)...),
		"A result":  namesOf(resultMembers),
		"A dead letter": {
			keyMessage, keyMessageEncoding, keyMessageURL, keyFields, keyID, keyError, keyAttempts, keyFailedAt,
		},
	} {
		_, section, found := strings.Cut(string(readme), "\n## "+title+"\n")
		require.True(t, found, title)
		section, _, _ = strings.Cut(section, "\n## ")
		var documented []string
		for line := range strings.Lines(section) {
			if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `") {
				for name := range strings.SplitSeq(cells[1], ",") {
					documented = append(documented, strings.Trim(name, " `"))
				}
			}
		}
		require.ElementsMatch(t, want, documented, title)
	}
}
