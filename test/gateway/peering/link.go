package peering

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// maxFrame bounds a line of the protocol; maxPeersBytes the addresses in it.
const (
	maxFrame      = 1024
	maxPeersBytes = 500
)

// writeTimeout bounds how long a member that does not read can hold up one that writes.
const writeTimeout = time.Second

// Kinds of frames.
const (
	kindHello = "hello" // the first frame in each direction
	kindState = "state"
	kindBye   = "bye" // the member leaves in order: its peering was disabled
)

// errFrame says that a line is no frame of the protocol, or not one that belongs there.
var errFrame = errors.New("not a frame of the peering protocol")

// frame is one line of the protocol, as JSON.
type frame struct {
	Kind string `json:"kind"`
	// Group is domain and name of the peering. A link between different ones is refused.
	Group string `json:"group"`
	// Address and Run identify the sender: another run at the same address is another start of its peering.
	Address string `json:"address"`
	Run     string `json:"run"`

	Priority    uint64 `json:"priority"`
	MonitorPort int    `json:"monitorPort"`
	claim
	Offset   uint64 `json:"offset"`
	Commands uint64 `json:"commands"`
	// Peers are addresses that the sender is linked to, as many as fit.
	Peers []string `json:"peers,omitempty"`
	// Ack asks replicas to tell their new state at once.
	Ack bool `json:"ack,omitempty"`
}

// link is a connection to another member.
type link struct {
	conn   net.Conn
	dialed bool // by this side
	peer   string
	reader *bufio.Reader

	writing sync.Mutex
}

func newLink(conn net.Conn, dialed bool) *link {
	return &link{conn: conn, dialed: dialed, reader: bufio.NewReaderSize(conn, maxFrame)}
}

// send makes a frame and writes it. The frame is made when it is its turn to be written, so a later one never carries an
// earlier state. A link that cannot be written to is closed, which its reader notices.
func (l *link) send(next func() (frame, bool)) {
	l.writing.Lock()
	defer l.writing.Unlock()
	f, wanted := next()
	if !wanted {
		return
	}
	line, err := json.Marshal(f)
	if err == nil {
		_ = l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err = l.conn.Write(append(line, '\n'))
	}
	if err != nil {
		_ = l.conn.Close()
	}
}

// receive reads the next frame. It waits until the given time at most.
func (l *link) receive(deadline time.Time) (frame, error) {
	var f frame
	if err := l.conn.SetReadDeadline(deadline); err != nil {
		return f, fmt.Errorf("peering link: %w", err)
	}
	line, err := l.reader.ReadSlice('\n')
	if err != nil {
		return f, fmt.Errorf("peering link: %w", err)
	}
	if err := json.Unmarshal(line, &f); err != nil {
		return f, fmt.Errorf("%w: %w", errFrame, err)
	}
	return f, nil
}
