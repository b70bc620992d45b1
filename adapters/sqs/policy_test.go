package sqs_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// policy is an IAM policy, as README.md has it.
type policy struct {
	Statement []struct {
		Sid, Effect, Resource string
		Action                actions
	}
}

// actions are one or many.
type actions []string

func (a *actions) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = actions{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

func TestThePolicyInTheREADMEAllowsWhatTheCodeCallsAndNoMore(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```json\n([^`]*\"Statement\".*?)```").FindAllSubmatch(readme, -1)
	require.Len(t, blocks, 1)
	var written policy
	require.NoError(t, json.Unmarshal(blocks[0][1], &written))

	var allowed []string
	for _, s := range written.Statement {
		require.Equal(t, "Allow", s.Effect)
		require.Equal(t, "arn:aws:sqs:REGION:ACCOUNT:openhqm-*", s.Resource)
		if s.Sid == "OnlyWithCreateQueues" {
			require.Equal(t, actions{"sqs:CreateQueue"}, s.Action)
		}
		allowed = append(allowed, s.Action...)
	}
	require.ElementsMatch(t, called(t), allowed)
	require.Len(t, written.Statement, 2)
}

// called returns the permissions for all calls in the code of this package: the methods of the client, which is the
// field api. A batch needs the permission of the single call (Developer Guide of Amazon SQS, "Amazon SQS API
// permissions").
func called(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var found []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			method, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if client, ok := method.X.(*ast.SelectorExpr); ok && client.Sel.Name == "api" {
				found = append(found, "sqs:"+strings.TrimSuffix(method.Sel.Name, "Batch"))
			}
			return true
		})
	}
	slices.Sort(found)
	return slices.Compact(found)
}
