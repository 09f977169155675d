// Command echo answers what it is sent: on TCP port 7000 and UDP port 7001.
package main

import (
	"io"
	"log"
	"net"
)

func main() {
	tcp, err := net.Listen("tcp", ":7000")
	if err != nil {
		log.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", ":7001")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				log.Fatal(err)
			}
			if _, err := udp.WriteTo(buf[:n], from); err != nil {
				log.Print(err)
			}
		}
	}()
	for {
		conn, err := tcp.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer conn.Close()
			if _, err := io.Copy(conn, conn); err != nil {
				log.Print(err)
			}
		}()
	}
}
