// Confirmation switched off, for the control run that shows that the chaos test can fail: under "hasty-<scheme>" every linked
// driver is there a second time, whose connections are said to be closed for good before the server has let them go.
#pragma once

namespace chaos {

// Registers the schemes; before launch().
void register_hasty_drivers();

}  // namespace chaos
