// One page of the pool's queue from a page of each part. Pure.
//
// Contract  Ids of all parts are in one order, and each part's page is all that it has up to where
//           it came: so is the merged page, up to where the part came that came least far. A
//           message that two parts list, because its partition changed its owner between them, is
//           there once.
#pragma once

#include <vector>

#include "posthorse/v1/node_queue.pb.h"

namespace posthorse::admin {

// At most `messages_max` messages, and not many octets more than bytes_max.
v1::ListMessagesResponse merge_pages(std::vector<v1::NodeListResponse> pages,
                                     std::size_t messages_max,
                                     std::size_t bytes_max);

}  // namespace posthorse::admin
