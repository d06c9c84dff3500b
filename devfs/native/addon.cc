#include "addon.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  InitFuse(env, exports);
  InitGuard(env, exports);
  InitMemory(env, exports);
  InitProcess(env, exports);
  InitAgent(env, exports);
  InitNamespace(env, exports);
  return exports;
}

NODE_API_MODULE(devfs, Init)
