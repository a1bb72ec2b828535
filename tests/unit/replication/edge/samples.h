// One of every message and of every change, with no field left at what it is by default.
#pragma once

#include <vector>

#include "replication/core/control_message.h"
#include "replication/core/etcd_port.h"

namespace posthorse::tests {

NodeId node(std::uint8_t number);
replication::Facts facts(std::string name);
replication::PoolState pool();  // of three members and three partitions
replication::Published published();
replication::Header header();
std::vector<replication::Change> every_change();
// Propose once for each change.
std::vector<replication::Message> every_message();
replication::ControlRecord record();
replication::ControlRecord record_on_etcd();
// What etcd holds of a pool: every key with its item.
std::vector<replication::EtcdPut> every_etcd_item();

}  // namespace posthorse::tests
