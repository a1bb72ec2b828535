#include "daemon/runtime/shard.h"

#include <pthread.h>

#include <boost/asio/post.hpp>

namespace posthorse::runtime {

Shard::Shard(unsigned index) : index_(index), context_(1), work_(context_.get_executor()) {}

Shard::~Shard() {
    stop();
    if (thread_.joinable()) thread_.join();
}

void Shard::start() {
    thread_ = std::thread([this] {
        pthread_setname_np(pthread_self(), ("shard-" + std::to_string(index_)).c_str());
        context_.run();
    });
}

void Shard::stop() {
    context_.stop();
}

void Shard::post(UniqueFunction<void()> work) {
    asio::post(context_, [work = std::move(work)]() mutable { work(); });
}

}  // namespace posthorse::runtime
