// A plugin in C: answers as it should, or as the request's text says, which only C can.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dlf_plugin.h"

static void reply(void *context, dlf_done done, const char *text) {
  struct dlf_bytes bytes = {(const uint8_t *)text, strlen(text)};
  done(context, bytes);
}

static const char *DESCRIBE =
    "{\"ok\":{\"name\":\"from-c\",\"version\":\"1\",\"protocol\":{\"min\":2,\"max\":2},\"kind\":\"caching\","
    "\"sourceTypes\":[\"COS\"],\"emits\":[]}}";

static void *create(const struct dlf_host *host) {
  static const char line[] = "created";
  struct dlf_bytes bytes = {(const uint8_t *)line, sizeof line - 1};
  host->log(host->context, 3, bytes);
  return malloc(1);
}

static void call(void *instance, uint64_t id, struct dlf_bytes request, void *context, dlf_done done) {
  (void)instance;
  (void)id;
  char *text = malloc(request.length + 1);
  memcpy(text, request.data, request.length);
  text[request.length] = 0;
  if (strstr(text, "\"describe\"")) {
    reply(context, done, DESCRIBE);
  } else if (strstr(text, "\"twice\"")) {
    reply(context, done, "{\"ok\":{}}");
    reply(context, done, "{\"error\":{\"reason\":\"Again\",\"message\":\"a second answer\"}}");
  } else if (strstr(text, "\"never\"")) {
    // nothing
  } else if (strstr(text, "\"loop\"")) {
    for (volatile int forever = 1; forever;) {
    }
  } else if (strstr(text, "\"wild\"")) {
    reply((void *)(uintptr_t)0xdeadbeef, done, "{\"ok\":{}}");
    reply(context, done, "{\"ok\":{}}");
  } else if (strstr(text, "\"garbage\"")) {
    reply(context, done, "\xff\xfe garbage");
  } else if (strstr(text, "\"wrong-type\"")) {
    reply(context, done, "{\"ok\":{\"objects\":7}}");
  } else if (strstr(text, "\"huge\"")) {
    struct dlf_bytes gibibyte = {calloc(1, 1 << 30), 1 << 30};
    done(context, gibibyte);
    free((void *)gibibyte.data);
  } else if (strstr(text, "\"empty\"")) {
    struct dlf_bytes none = {NULL, 0};
    done(context, none);
  } else {
    reply(context, done, "{\"ok\":{}}");
  }
  free(text);
}

static void cancel(void *instance, uint64_t id) {
  (void)instance;
  (void)id;
}

static void destroy(void *instance) { free(instance); }

#ifndef MAJOR
#define MAJOR DLF_ABI_MAJOR
#endif
#ifndef SIZE
#define SIZE sizeof(struct dlf_plugin)
#endif

static const struct dlf_plugin table = {
    .size = SIZE, .abi_major = MAJOR, .abi_minor = DLF_ABI_MINOR,
    .create = create, .call = call, .cancel = cancel, .destroy = destroy,
};

#ifndef ENTRY
#define ENTRY dlf_plugin_v1
#endif
const struct dlf_plugin *ENTRY(void) { return &table; }
