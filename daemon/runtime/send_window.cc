#include "daemon/runtime/send_window.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/tcp.h>

#include <algorithm>

namespace posthorse::runtime {

SendWindow send_window(int descriptor) {
    tcp_info state{};
    socklen_t size = sizeof state;
    if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &state, &size) != 0) return {};
    const auto congestion = std::uint64_t{state.tcpi_snd_cwnd} * state.tcpi_snd_mss;
    return {state.tcpi_notsent_bytes, std::min<std::uint64_t>(congestion, state.tcpi_snd_wnd)};
}

}  // namespace posthorse::runtime
