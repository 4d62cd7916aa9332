/* config.json of a bundle: whatever the text, it is refused with a message or parsed, and freed. */
#include "runtime/oci/config.h"
#include "runtime/oci/oci.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct oci_config c;
    json_object *doc = json_parse_text("config.json", (const char *)data, size);
    if (!doc) {
        if (!oci_error()[0]) abort();
        oci_error_clear();
        return 0;
    }
    int r = config_parse(&c, doc);
    if (r && !oci_error()[0]) abort();
    config_free(&c);
    oci_error_clear();
    return 0;
}
