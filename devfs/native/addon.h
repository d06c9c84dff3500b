// The parts of the addon, one file each. An `Init…` adds its functions to the exports; the typed contract of
// all of them is devfs/native.ts.
#pragma once

#include <napi.h>

void InitFuse(Napi::Env env, Napi::Object exports);
void InitGuard(Napi::Env env, Napi::Object exports);
void InitMemory(Napi::Env env, Napi::Object exports);
void InitProcess(Napi::Env env, Napi::Object exports);
void InitAgent(Napi::Env env, Napi::Object exports);
void InitNamespace(Napi::Env env, Napi::Object exports);
