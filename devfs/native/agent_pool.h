// The OS threads that make the ptrace calls.
#pragma once

#include <functional>

// One job on an agent thread, from its beginning to its end; false if that OS thread must end after it.
using AgentJob = std::function<bool()>;

// Hands the job to an idle agent thread, or to a new one; beyond kMaxAgents the job waits for its turn. Called on any
// thread. 0 or -errno (then the job will not run).
int SubmitAgentJob(AgentJob job);
