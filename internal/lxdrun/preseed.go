package lxdrun

import (
	"context"
	"fmt"
	"strings"
)

// preseed is the default configuration. The bridge brings no firewall rules and
// no route outwards: nothing of it can stay behind in the machine's tables.
const preseed = `
networks:
- name: @BRIDGE@
  type: bridge
  config:
    ipv4.address: @SUBNET@
    ipv4.nat: "false"
    ipv4.firewall: "false"
    ipv6.address: none
    ipv6.firewall: "false"
storage_pools:
- @POOL@
profiles:
- name: default
  config:
    boot.host_shutdown_timeout: "5"
  devices:
    root: {type: disk, path: /, pool: default}
    eth0: {type: nic, name: eth0, network: @BRIDGE@}
`

// preseed configures the new daemon.
func (d *Daemon) preseed(ctx context.Context) error {
	doc := d.opts.Preseed
	if doc == "" {
		doc = preseed
	}
	pool := "{name: default, driver: dir}"
	if d.opts.BtrfsGiB > 0 {
		pool = fmt.Sprintf("{name: default, driver: btrfs, config: {size: %dGiB}}", d.opts.BtrfsGiB)
	}
	doc = strings.NewReplacer("@BRIDGE@", d.Bridge, "@SUBNET@", d.Subnet, "@POOL@", pool).Replace(doc)
	return d.run(ctx, strings.NewReader(doc), "lxd", "init", "--preseed")
}
