//! What is trained, and when: the seven settings and their names.

use crate::error::{Error, Result};

/// One way of training the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Attention only; task identity is not used.
    Plain,
    /// Attention trained plainly and frozen, then one prompt per task.
    FinetunePrompt,
    /// Attention and prompts together, labels not shifted.
    JointPrompt,
    /// Attention and prompts together, with the one label shift a shared value matrix can hold.
    JointPromptValueShift,
    /// Attention trained plainly and frozen, then one prompt and one head per task.
    FinetunePromptHead,
    /// Attention, prompts and heads together, all heads of scale one.
    JointPromptHead,
    /// Attention, prompts and heads together, every head with its own scale.
    JointPromptHeadScaled,
}

impl Setting {
    /// Every setting, from fully coupled to fully decoupled.
    pub const ALL: [Setting; 7] = [
        Setting::Plain,
        Setting::FinetunePrompt,
        Setting::JointPrompt,
        Setting::JointPromptValueShift,
        Setting::FinetunePromptHead,
        Setting::JointPromptHead,
        Setting::JointPromptHeadScaled,
    ];

    /// The name users see.
    pub fn name(self) -> &'static str {
        match self {
            Setting::Plain => "plain",
            Setting::FinetunePrompt => "finetune_prompt",
            Setting::JointPrompt => "joint_prompt",
            Setting::JointPromptValueShift => "joint_prompt_value_shift",
            Setting::FinetunePromptHead => "finetune_prompt_head",
            Setting::JointPromptHead => "joint_prompt_head",
            Setting::JointPromptHeadScaled => "joint_prompt_head_scaled",
        }
    }

    /// The setting of that name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|setting| setting.name() == name)
            .ok_or_else(|| {
                Error::UnknownName(format!(
                    "unknown setting '{name}', expected one of {}",
                    Self::ALL.map(Setting::name).join(", ")
                ))
            })
    }

    /// Whether each task has a prompt.
    pub fn has_prompts(self) -> bool {
        self != Setting::Plain
    }

    /// Whether each task has a head.
    pub fn has_heads(self) -> bool {
        matches!(
            self,
            Setting::FinetunePromptHead | Setting::JointPromptHead | Setting::JointPromptHeadScaled
        )
    }

    /// Whether attention is trained plainly first and then frozen.
    pub fn is_finetuned(self) -> bool {
        matches!(self, Setting::FinetunePrompt | Setting::FinetunePromptHead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for setting in Setting::ALL {
            assert_eq!(Setting::parse(setting.name()), Ok(setting));
        }
        assert!(matches!(
            Setting::parse("prompt"),
            Err(Error::UnknownName(_))
        ));
    }
}
