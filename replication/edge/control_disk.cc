#include "replication/edge/control_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "proto/types/date_time.h"
#include "replication/edge/record_codec.h"
#include "storage/durable_file.h"

namespace posthorse::replication {
namespace {

namespace fs = std::filesystem;
using storage::Descriptor;
using storage::os_error;
using storage::sync_directory;

// Far above the largest record; what is larger is no record.
constexpr std::size_t file_bytes_max = 16 * 1024 * 1024;

Result<std::string> read_file(const std::string& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file && errno == ENOENT) return Error{Errc::not_found, path + ": not there"};
    if (!file) return os_error(path, "open");
    std::string octets;
    char part[16 * 1024];
    while (octets.size() <= file_bytes_max) {
        const auto count = ::read(file.get(), part, sizeof part);
        if (count == 0) return octets;
        if (count < 0 && errno != EINTR) return os_error(path, "read");
        if (count > 0) octets.append(part, static_cast<std::size_t>(count));
    }
    return Error{Errc::corrupt, path + ": too large"};
}

Result<void> write_synced(const std::string& path, const std::string& octets) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return os_error(path, "create");
    return storage::write_synced(file, octets, path);
}

std::string parent(const std::string& path) {
    const auto above = fs::path(path).parent_path();
    return above.empty() ? "." : above.string();
}

// Makes it, and its name durable, when it is not there.
Result<void> make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) == 0) return sync_directory(parent(path));
    if (errno != EEXIST) return os_error(path, "make");
    return {};
}

// The old content or the new, whenever the power fails.
Result<void> replace_file(const std::string& directory,
                          const std::string& name,
                          const std::string& octets) {
    if (auto made = make_directory(directory); !made) return made;
    const auto path = directory + "/" + name;
    const auto fresh = path + ".new";
    if (auto written = write_synced(fresh, octets); !written) return written;
    if (::rename(fresh.c_str(), path.c_str()) != 0) return os_error(path, "replace");
    return sync_directory(directory);
}

// A directory of that name that is not there yet.
Result<std::string> make_fresh(const std::string& name) {
    for (int attempt = 1;; ++attempt) {
        const auto path = attempt == 1 ? name : name + "-" + std::to_string(attempt);
        if (::mkdir(path.c_str(), 0700) == 0) return path;
        if (errno != EEXIST) return os_error(path, "make");
    }
}

Result<void> move_into(const std::string& from, const std::string& directory) {
    const auto to = directory + "/" + fs::path(from).filename().string();
    if (::rename(from.c_str(), to.c_str()) == 0) {
        if (auto synced = sync_directory(directory); !synced) return synced;
        return sync_directory(parent(from));
    }
    if (errno == ENOENT) return {};
    return os_error(from, "move aside");
}

std::string without_newline(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

NodeId make_node_id(const std::function<std::uint64_t()>& random) {
    NodeId id;
    for (std::size_t half = 0; half < 2; ++half) {
        const auto number = random();
        std::memcpy(id.bytes.data() + 8 * half, &number, 8);
    }
    return id;
}

}  // namespace

Result<ControlRecord> read_record(const std::string& directory) {
    const auto path = directory + "/state";
    const auto octets = read_file(path);
    if (!octets) return octets.error();
    auto record = decode_record(*octets);
    if (!record) return Error{record.error().code, path + ": " + record.error().what};
    return record;
}

Result<ControlRecord> open_record(const std::string& directory,
                                  const std::function<std::uint64_t()>& random) {
    std::error_code code;
    fs::create_directories(directory, code);
    if (code) return Error{Errc::io, directory + ": cannot make: " + code.message()};
    fs::permissions(directory, fs::perms::owner_all, code);
    auto record = read_record(directory);
    if (record || record.error().code != Errc::not_found) return record;
    ControlRecord fresh;
    fresh.self = make_node_id(random);
    return fresh;
}

Result<void> write_record(const std::string& directory, const ControlRecord& record) {
    return replace_file(directory, "state", encode_record(record));
}

Result<void> mark_stranger(const std::string& directory, const std::string& why) {
    return replace_file(directory, "stranger", why + "\n");
}

// A mark that cannot be read is a mark: going on would be the mistake.
std::optional<std::string> stranger_mark(const std::string& directory) {
    const auto why = read_file(directory + "/stranger");
    if (why) return without_newline(*why);
    if (why.error().code == Errc::not_found) return std::nullopt;
    return why.error().what;
}

Result<std::string> set_aside(const std::string& data_dir, const SetAside& what) {
    const auto control = data_dir + "/control";
    if (auto marked = mark_stranger(control, what.why); !marked) return marked.error();
    const auto all = data_dir + "/set-aside";
    if (auto made = make_directory(all); !made) return made.error();
    auto place = make_fresh(all + "/" + format_date_time_compact(what.now) + "-" +
                            (what.node ? what.node->to_string() : "unknown"));
    if (!place) return place;
    if (auto told = write_synced(*place + "/why", what.why + "\n"); !told) return told.error();
    if (auto synced = sync_directory(*place); !synced) return synced.error();
    if (auto synced = sync_directory(all); !synced) return synced.error();
    if (auto moved = move_into(data_dir + "/queue", *place); !moved) return moved.error();
    if (auto moved = move_into(control, *place); !moved) return moved.error();
    return place;
}

Result<std::vector<SetAsideCopy>> list_set_aside(const std::string& data_dir) {
    const auto all = data_dir + "/set-aside";
    std::vector<SetAsideCopy> copies;
    std::error_code error;
    if (!fs::exists(all, error) && !error) return copies;
    fs::directory_iterator entries(all, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
        const auto path = entries->path().string();
        const auto why = read_file(path + "/why");
        copies.push_back({path, why ? without_newline(*why) : "not known"});
    }
    if (error) return Error{Errc::io, all + ": cannot list: " + error.message()};
    std::sort(copies.begin(), copies.end(), [](const SetAsideCopy& one, const SetAsideCopy& next) {
        return one.path < next.path;
    });
    return copies;
}

}  // namespace posthorse::replication
