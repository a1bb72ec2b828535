#include "daemon/aside/journal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "storage/durable_file.h"

namespace posthorse::aside {
namespace {

using storage::Descriptor;
using storage::os_error;

// A line that a crash tore must not run into the next: every line begins with a line end.
std::string line_of(QueueId old_id, const std::string& new_id) {
    return "\n" + old_id.to_string() + " " + new_id + "\n";
}

}  // namespace

Result<std::map<QueueId, QueueId>> Journal::read() const {
    std::map<QueueId, QueueId> adoptions;
    std::error_code error;
    if (!std::filesystem::exists(path_, error) && !error) return adoptions;
    std::ifstream file(path_, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!file) return os_error(path_, "read");
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string old_text;
        std::string new_text;
        words >> old_text >> new_text;
        const auto old_id = QueueId::parse(old_text);
        if (!old_id) continue;
        if (new_text == "-") adoptions.erase(*old_id);
        if (const auto new_id = QueueId::parse(new_text)) adoptions[*old_id] = *new_id;
    }
    return adoptions;
}

Result<void> Journal::begun(QueueId old_id, QueueId new_id) {
    return append(line_of(old_id, new_id.to_string()));
}

Result<void> Journal::withdrawn(QueueId old_id) {
    return append(line_of(old_id, "-"));
}

Result<void> Journal::append(const std::string& line) {
    const Descriptor file(
        ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (!file) return os_error(path_, "open");
    if (auto written = storage::write_synced(file, line, path_); !written) return written;
    // The name of the file lives in its directory.
    return storage::sync_directory(std::filesystem::path(path_).parent_path().string());
}

}  // namespace posthorse::aside
