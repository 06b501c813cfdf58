package defaults_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/defaults"
)

func TestParseUsers(t *testing.T) {
	for name, tc := range map[string]struct {
		values string
		want   []v1beta3.User
	}{
		"the users under defaults are read": {
			values: "users: null\ndefaults: {users: [{name: admin, passwordSecret: s, accessLevel: privileged}]}",
			want:   []v1beta3.User{{Name: "admin", PasswordSecret: "s", AccessLevel: "privileged"}},
		},
		"a chart without default users has none": {values: "defaults: {}"},
		"a chart without defaults has none":      {values: "replicas: 1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := defaults.ParseUsers([]byte(tc.values))
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestWhatIsNoListOfUsersIsRefused(t *testing.T) {
	for _, values := range []string{"a: [", "defaults: {users: admin}", "defaults: {users: [{name: [1]}]}"} {
		_, err := defaults.ParseUsers([]byte(values))
		require.ErrorIs(t, err, defaults.ErrMalformed, values)
	}
}

func TestLoadUsersNamesTheFileThatItCannotUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "values.yaml")
	_, err := defaults.LoadUsers(path)
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, os.WriteFile(path, []byte("defaults: {users: 1}"), 0o600))
	_, err = defaults.LoadUsers(path)
	require.ErrorIs(t, err, defaults.ErrMalformed)
	assert.ErrorContains(t, err, path)

	require.NoError(t, os.WriteFile(path, []byte("defaults: {users: [{name: a}]}"), 0o600))
	users, err := defaults.LoadUsers(path)
	require.NoError(t, err)
	assert.Len(t, users, 1)
}

func TestTheChartsDefaultUserIsTheOneThatUsersOfTheExistingOperatorKnow(t *testing.T) {
	path := filepath.Join("..", "..", "helm-charts", "datapowerservice", "values.yaml")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no chart to look at: %v", err)
	}
	users, err := defaults.LoadUsers(path)
	require.NoError(t, err)
	assert.Equal(t, []v1beta3.User{{Name: "admin", PasswordSecret: "admin-credentials", AccessLevel: "privileged"}}, users)
}
