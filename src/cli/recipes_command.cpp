// SPDX-License-Identifier: Apache-2.0
// belay recipes: what is installed.
#include "cli/commands.hpp"
#include "cli/surroundings.hpp"
#include "recipe/book.hpp"
#include "report/pieces.hpp"
#include "report/table.hpp"

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace belay::cli {

namespace {

std::string as_json(const std::vector<recipe::entry>& entries) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& entry : entries) {
        nlohmann::ordered_json one{{"name", entry.name}, {"file", entry.file.string()}};
        if (entry.recipe) {
            one["summary"] = entry.recipe->summary.value_or("");
        } else {
            one["error"] = core::describe(entry.recipe.error());
        }
        list.push_back(std::move(one));
    }
    return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_text(const std::vector<recipe::entry>& entries) {
    auto look = report::style_of(STDOUT_FILENO);
    look.width.reset(); // a path that is cut is of no use
    std::vector<std::vector<std::string>> rows;
    for (const auto& entry : entries) {
        if (entry.recipe) {
            rows.push_back({report::safe(entry.name, look), report::safe(entry.recipe->summary.value_or(""), look),
                            report::safe(entry.file.string(), look)});
        }
    }
    return report::table(rows, look);
}

} // namespace

int recipes_command(const recipes_options& options) {
    const auto entries = installed_recipes().list();
    print(options.common.format == output_format::json ? as_json(entries) : as_text(entries));
    for (const auto& entry : entries) {
        if (!entry.recipe) {
            complain(entry.recipe.error());
        }
    }
    return 0;
}

} // namespace belay::cli
