#include "replication/edge/control_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "posthorse/v1/control.pb.h"
#include "storage/crc32c.h"

namespace posthorse::replication {
namespace {

constexpr std::uint32_t format_version = 1;

std::string node_bytes(const NodeId& id) {
    return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::optional<NodeId> node_from(const std::string& bytes) {
    NodeId id;
    if (bytes.size() != id.bytes.size()) return std::nullopt;
    std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
    return id;
}

std::uint32_t checksum(v1::ControlFile file) {
    file.set_checksum(0);
    return storage::crc32c(file.SerializeAsString());
}

void put_member(const Member& member, v1::MemberRecord& record) {
    record.set_node_id(node_bytes(member.id));
    record.set_name(member.facts.name);
    record.mutable_incarnation()->set_counter(member.incarnation.counter);
    record.mutable_incarnation()->set_random(member.incarnation.random);
    record.set_draining(member.draining);
}

void put_partition(const PartitionState& partition, v1::PartitionRecord& record) {
    record.set_partition(partition.id.value);
    if (partition.owner) record.set_owner(node_bytes(*partition.owner));
    for (const auto& holder : partition.in_sync) record.add_in_sync(node_bytes(holder));
    record.set_epoch(partition.epoch.value);
    record.set_closing(partition.phase == PartitionPhase::closing);
    record.set_solo(partition.solo);
}

std::optional<Member> member_from(const v1::MemberRecord& record) {
    const auto id = node_from(record.node_id());
    if (!id) return std::nullopt;
    Member member;
    member.id = *id;
    member.facts.name = record.name();
    member.incarnation = {record.incarnation().counter(), record.incarnation().random()};
    member.live = true;
    member.draining = record.draining();
    return member;
}

std::optional<PartitionState> partition_from(const v1::PartitionRecord& record) {
    PartitionState partition;
    partition.id = {record.partition()};
    if (!record.owner().empty()) {
        partition.owner = node_from(record.owner());
        if (!partition.owner) return std::nullopt;
    }
    for (const auto& bytes : record.in_sync()) {
        const auto holder = node_from(bytes);
        if (!holder) return std::nullopt;
        partition.in_sync.push_back(*holder);
    }
    partition.epoch = {record.epoch()};
    partition.phase = record.closing() ? PartitionPhase::closing : PartitionPhase::open;
    partition.solo = record.solo();
    return partition;
}

Error os_error(const std::string& path, const char* doing) {
    return {Errc::io, path + ": cannot " + doing + ": " + std::strerror(errno)};
}

// A file descriptor that closes itself.
struct Descriptor {
    int fd;
    explicit Descriptor(int f) : fd(f) {}
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
};

Result<void> write_synced(const std::string& path, const std::string& bytes) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.fd < 0) return os_error(path, "create");
    for (std::size_t at = 0; at < bytes.size();) {
        const auto count = ::write(file.fd, bytes.data() + at, bytes.size() - at);
        if (count < 0) return os_error(path, "write");
        at += static_cast<std::size_t>(count);
    }
    if (::fsync(file.fd) != 0) return os_error(path, "sync");
    return {};
}

Result<void> sync_directory(const std::string& path) {
    const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.fd < 0 || ::fsync(directory.fd) != 0) return os_error(path, "sync");
    return {};
}

}  // namespace

std::string encode_control_file(const ControlFileContent& content) {
    v1::ControlFile file;
    file.set_format(format_version);
    file.set_node_id(node_bytes(content.self));
    auto& pool = *file.mutable_pool();
    pool.set_pool_id(content.pool.pool_id);
    pool.set_version(content.pool.version.value);
    for (const auto& member : content.pool.members) put_member(member, *pool.add_members());
    for (const auto& partition : content.pool.partitions)
        put_partition(partition, *pool.add_partitions());
    file.set_checksum(checksum(file));
    return file.SerializeAsString();
}

Result<ControlFileContent> decode_control_file(const std::string& bytes) {
    const auto corrupt = [](const char* why) { return Error{Errc::corrupt, why}; };
    v1::ControlFile file;
    if (!file.ParseFromString(bytes)) return corrupt("not a control file");
    if (file.format() != format_version)
        return corrupt("written by a release that this one does not know");
    if (file.checksum() != checksum(file)) return corrupt("its checksum is wrong");
    ControlFileContent content;
    const auto self = node_from(file.node_id());
    if (!self) return corrupt("its node id is not 16 octets");
    content.self = *self;
    content.pool.pool_id = file.pool().pool_id();
    content.pool.version = {file.pool().version()};
    for (const auto& record : file.pool().members()) {
        auto member = member_from(record);
        if (!member) return corrupt("a member's id is not 16 octets");
        content.pool.members.push_back(std::move(*member));
    }
    for (const auto& record : file.pool().partitions()) {
        auto partition = partition_from(record);
        if (!partition) return corrupt("a partition names a node id that is not 16 octets");
        content.pool.partitions.push_back(std::move(*partition));
    }
    return content;
}

Result<ControlFileContent> read_control_file(const std::string& path) {
    if (!std::filesystem::exists(path)) return Error{Errc::not_found, path + ": not there"};
    std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    if (!file) return os_error(path, "read");
    auto content = decode_control_file(bytes.str());
    if (!content) return Error{content.error().code, path + ": " + content.error().what};
    return content;
}

Result<void> write_control_file(const std::string& path, const ControlFileContent& content) {
    const auto fresh = path + ".new";
    if (auto written = write_synced(fresh, encode_control_file(content)); !written) return written;
    if (::rename(fresh.c_str(), path.c_str()) != 0) return os_error(path, "replace");
    return sync_directory(std::filesystem::path(path).parent_path());
}

}  // namespace posthorse::replication
