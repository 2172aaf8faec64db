// The C ABI of DLF plugins, version 1. Made from plugins/abi/src/lib.rs: do not edit.
// The messages are described in docs/plugin-protocol.md.

#ifndef DLF_PLUGIN_H
#define DLF_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

// The major version: that of `dlf_plugin_v1`.
#define DLF_ABI_MAJOR 1

// The newest minor version of it: fields that were added since.
#define DLF_ABI_MINOR 0

// Bytes that somebody else owns.
struct dlf_bytes {
  // The first; anything when there are none.
  const uint8_t *data;
  // How many.
  size_t length;
};

// Takes a line for the host's log. Levels: 1 error, 2 warning, 3 information, 4 debugging.
typedef void (*dlf_log)(void *context, uint32_t level, struct dlf_bytes line);

// What a host gives to a plugin.
struct dlf_host {
  // Size of this structure in bytes, as the host knows it.
  size_t size;
  // Handed back with each call of `log`.
  void *context;
  // The log.
  dlf_log log;
};

// Takes an answer: a `Reply` as JSON. `context` is what came with the call.
typedef void (*dlf_done)(void *context, struct dlf_bytes reply);

// What a library gives to a host.
struct dlf_plugin {
  // Size of this structure in bytes, as the plugin knows it.
  size_t size;
  // The major version it was built with.
  uint32_t abi_major;
  // The minor version it was built with.
  uint32_t abi_minor;
  // Makes an instance, null on failure. `host` is valid until `destroy`.
  void *(*create)(const struct dlf_host *host);
  // Asks an instance: `request` is a `Message` as JSON, `id` is for `cancel`.
  void (*call)(void *instance, uint64_t id, struct dlf_bytes request, void *context, dlf_done done);
  // Nobody waits any more for the answer to the call of this id; its `done` may still come.
  void (*cancel)(void *instance, uint64_t id);
  // Ends an instance. No call of it is under way, and none follows.
  void (*destroy)(void *instance);
};

#endif  /* DLF_PLUGIN_H */

// What a plugin exports.
#ifdef __cplusplus
extern "C" {
#endif
const struct dlf_plugin *dlf_plugin_v1(void);
#ifdef __cplusplus
}
#endif
