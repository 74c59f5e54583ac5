// `sluicectl`: the control client for any instance, whatever application it runs.
#include <sluice/admin/client.hpp>

int main(int argc, char** argv) { return sluice::admin::ctl("", {argv + 1, argv + argc}); }
