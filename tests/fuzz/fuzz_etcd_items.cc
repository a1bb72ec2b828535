#include "posthorse/v1/pool_etcd.pb.h"
#include "replication/edge/etcd_codec.h"
#include "storage/crc32c.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using replication::EtcdKey;

namespace {

// As a value whose checksum is right: what is behind it must hold by itself.
std::string sealed(std::string_view item) {
    v1::EtcdValue value;
    value.set_magic(0x50544345);
    value.set_format(1);
    value.set_item(std::string(item));
    value.set_checksum(storage::crc32c(item));
    return value.SerializeAsString();
}

void read_value(EtcdKey::Kind kind, std::string_view octets) {
    const auto item = replication::decode_item(kind, octets);
    if (const auto* unreadable = std::get_if<replication::EtcdUnreadable>(&item)) {
        PH_ASSERT(!unreadable->why.empty());
    } else {
        PH_ASSERT(item.index() == static_cast<std::size_t>(kind));
        PH_ASSERT(replication::decode_item(kind, replication::encode_item(item)) == item);
    }
}

}  // namespace

// A key or a value below a pool's prefix, by whomever: none of a pool's, or read as something that
// is the same when it is written and read again.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto octets = fuzz::as_text(data, size);
    for (const auto kind : {EtcdKey::Kind::pool, EtcdKey::Kind::lease, EtcdKey::Kind::waiting}) {
        read_value(kind, octets);
        read_value(kind, sealed(octets));
    }
    const replication::EtcdPlace place("/posthorse");
    const auto key = place.begin() + std::string(octets);
    if (const auto read = place.decode_key(key)) PH_ASSERT(place.encode_key(*read) == key);
    return 0;
}
