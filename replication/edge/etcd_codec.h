// Keys and items of a pool in etcd as octets (posthorse/v1/pool_etcd.proto), and back.
//
// Place     Under etcd_client.h.
// Contract  What encode_item() makes, decode_item() reads back whole. Decoding is total, by the
//           rules of pool_state_codec.h: what breaks one, is damaged, was written by a newer
//           release or by another program comes back as EtcdUnreadable, which says so. A key of no
//           known kind is nobody's mistake: newer releases may have more.
// Bounds    pool_state_codec.h; a value of a mebibyte.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "replication/core/etcd_port.h"

namespace posthorse::replication {

// "/posthorse" and "/posthorse/" name the same place: what lies in [begin, end) is the pool's.
class EtcdPlace {
public:
    explicit EtcdPlace(std::string prefix);
    const std::string& begin() const noexcept { return begin_; }
    const std::string& end() const noexcept { return end_; }

    std::string encode_key(const EtcdKey& key) const;
    // nullopt: none that this release knows.
    std::optional<EtcdKey> decode_key(std::string_view octets) const;

private:
    std::string begin_;
    std::string end_;
};

// Requires an item that can be read.
std::string encode_item(const EtcdItem& item);
// `kind`: what its key promises.
EtcdItem decode_item(EtcdKey::Kind kind, std::string_view octets);

}  // namespace posthorse::replication
