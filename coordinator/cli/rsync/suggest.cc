#include "coordinator/cli/rsync/suggest.h"

#include <algorithm>

namespace uringsync {
namespace {

constexpr size_t kMaxWordBytes = 64;

}  // namespace

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1, 0));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

std::optional<std::string> NearestWord(std::string_view word, const std::vector<std::string>& known) {
  if (word.empty() || word.size() > kMaxWordBytes) return std::nullopt;
  const std::string* best = nullptr;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  const std::string* beginning = nullptr;
  size_t beginnings = 0;
  for (const std::string& candidate : known) {
    if (candidate.size() > word.size() && std::string_view(candidate).substr(0, word.size()) == word) {
      ++beginnings;
      beginning = &candidate;
    }
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = &candidate;
    }
  }
  if (beginnings == 1) return *beginning;
  if (best == nullptr) return std::nullopt;
  return *best;
}

}  // namespace uringsync
