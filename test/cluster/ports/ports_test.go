package ports_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/datapower-operator/datapower-operator/test/cluster/ports"
)

func reserve(t *testing.T) *ports.Reservation {
	t.Helper()
	r, err := ports.Reserve()
	require.NoError(t, err)
	t.Cleanup(r.Release)
	return r
}

func address(r *ports.Reservation) string { return fmt.Sprintf("127.0.0.1:%d", r.Port()) }

// listenSharing listens as the components do.
func listenSharing(address string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(err, failed)
	}}
	return config.Listen(context.Background(), "tcp4", address)
}

func TestReservedPortsAreDifferent(t *testing.T) {
	seen := map[int]bool{}
	for range 200 {
		r := reserve(t)
		assert.Positive(t, r.Port())
		assert.False(t, seen[r.Port()], "port %d was given twice", r.Port())
		seen[r.Port()] = true
	}
}

func TestAReservedPortIsRefusedToOthers(t *testing.T) {
	r := reserve(t)
	_, err := net.Listen("tcp4", address(r))
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}

func TestAProgramThatSharesPortsGetsTheReservedOneAndItsConnections(t *testing.T) {
	r := reserve(t)
	listener, err := listenSharing(address(r))
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	for range 20 { // the reservation, which does not listen, must take none of them
		client, err := net.Dial("tcp4", address(r))
		require.NoError(t, err)
		server, err := listener.Accept()
		require.NoError(t, err)
		assert.NoError(t, errors.Join(client.Close(), server.Close()))
	}
}

func TestAReservedPortWithoutProgramRefusesConnections(t *testing.T) {
	_, err := net.Dial("tcp4", address(reserve(t)))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestAReleasedPortIsFree(t *testing.T) {
	r := reserve(t)
	r.Release()
	r.Release()
	listener, err := net.Listen("tcp4", address(r))
	require.NoError(t, err)
	assert.NoError(t, listener.Close())
}
