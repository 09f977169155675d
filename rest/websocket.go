package rest

import (
	"bufio"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// upgrade makes a websocket of a request. An error has been answered.
func upgrade(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	// What bounds requests does not bound what follows.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
	return websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
}

// Hijack is for the websockets.
func (c *counter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if c.status == 0 {
		c.status = http.StatusSwitchingProtocols
	}
	return http.NewResponseController(c.ResponseWriter).Hijack()
}
